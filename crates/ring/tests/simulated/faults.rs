//! Everything goes wrong.
