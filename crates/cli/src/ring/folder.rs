//! The folder of a run: that of its cluster, with a note of what the run is to be.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use dx_transport::id::ClusterId;
use serde::{Deserialize, Serialize};

use crate::config::Cluster;
use crate::control::Client;
use crate::home::{ClusterError, Home, NodeName};
use crate::kinds::ring_member::Attr;

/// What a run was to be, as its folder says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The cluster.
    pub cluster: Cluster,
    /// Whether members that fail are started again.
    pub restarts: bool,
    /// The nodes of other machines, which are not started here.
    #[serde(default)]
    pub elsewhere: Vec<NodeName>,
}

impl Run {
    /// What all its members are told, if this version understands it.
    #[must_use]
    pub fn attr(&self) -> Option<Attr> {
        self.cluster.agents.first().and_then(|agent| agent.attr().ok())
    }
}

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct Folder {
    home: Home,
    name: ClusterId,
}

/// Why the folder of a run could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is that of something else.
    #[error("cluster {0} is no run of a ring: choose another name for the run")]
    Other(ClusterId),
    /// The cluster's folder could not be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The note could not be read or written.
    #[error("failed to use {}: {reason}", .path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// The note. No node can have this name.
const NOTE: &str = ".ring";

impl Folder {
    /// That of the run `name`, which need not exist.
    #[must_use]
    pub fn of(home: &Home, name: &ClusterId) -> Self {
        Self { home: home.clone(), name: name.clone() }
    }

    /// The run that goes on there: a node of it answers.
    ///
    /// # Errors
    /// If the folder is no run's.
    pub async fn running(&self) -> Result<Option<Run>, FolderError> {
        let Some(run) = self.read()? else { return Ok(None) };
        let answers = Client::any(&self.home, &self.name).await.is_ok();
        Ok(answers.then_some(run))
    }

    /// A new folder for `run`. What an earlier run has left there is removed.
    ///
    /// # Errors
    /// If the folder is no run's, or cannot be written.
    pub fn create(&self, run: &Run) -> Result<(), FolderError> {
        if self.read()?.is_some() {
            self.remove()?;
        }
        self.home.open_or_create(&self.name)?;
        let (path, new) = (self.path().join(NOTE), self.path().join(format!("{NOTE}.new")));
        let note = serde_json::to_vec(run).expect("a cluster has text keys only");
        let written = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&note))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|reason| FolderError::Note { path, reason })
    }

    /// Removes it.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn remove(&self) -> Result<(), FolderError> {
        match fs::remove_dir_all(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(FolderError::Note { path: self.path(), reason: error })
            }
            _ => Ok(()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.home.path().join(self.name.as_str())
    }

    fn read(&self) -> Result<Option<Run>, FolderError> {
        let path = self.path().join(NOTE);
        match fs::read(&path) {
            Ok(bytes) => {
                let run = serde_json::from_slice(&bytes).map_err(io::Error::from);
                run.map(Some).map_err(|reason| FolderError::Note { path, reason })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let is_other = self.path().exists();
                if is_other { Err(FolderError::Other(self.name.clone())) } else { Ok(None) }
            }
            Err(reason) => Err(FolderError::Note { path, reason }),
        }
    }
}
