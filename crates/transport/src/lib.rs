//! Node meshes over pluggable transports.
