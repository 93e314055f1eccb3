//! The first data of a database: restored before its server starts for the first time, and never again.

use std::path::{Path, PathBuf};

use super::error::BackupError;
use super::server::failed;

/// Where a member's data is to be, and what is known of it.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The member's volume.
    pub volume: PathBuf,
    /// A file that says `wanted` as long as the operator wants the data to be restored.
    pub state: PathBuf,
    /// The name of the pod, which ends with the member's number.
    pub pod_name: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// To restore into this folder.
    Restore(PathBuf),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What is to be done on a member's volume. Data that is there is never touched: neither the server's nor what its agent keeps, which
/// says that there was some.
///
/// # Errors
/// When it cannot be told.
pub fn todo(seed: &Seed) -> Result<Todo, BackupError> {
    let ordinal: u32 = seed
        .pod_name
        .rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok())
        .ok_or_else(|| {
            failed(
                "tell its member",
                format!("{:?} does not end with a number", seed.pod_name),
            )
        })?;
    if ordinal != 0 {
        return Ok(Todo::Nothing(
            "the first member is restored; this one copies it",
        ));
    }
    let data = seed.volume.join("data");
    if exists(&data)? {
        return Ok(Todo::Nothing("there is data on the volume"));
    }
    if exists(&seed.volume.join("agent").join("state.json"))? {
        return Ok(Todo::Nothing("there was data on the volume"));
    }
    let state =
        std::fs::read_to_string(&seed.state).map_err(BackupError::disk("read", &seed.state))?;
    Ok(if state.trim() == "wanted" {
        Todo::Restore(data)
    } else {
        Todo::Nothing("the database has begun already")
    })
}

fn exists(path: &Path) -> Result<bool, BackupError> {
    path.try_exists()
        .map_err(BackupError::disk("look at", path))
}

#[cfg(test)]
mod tests {
    use super::{Seed, Todo, todo};

    /// Only the first member of a database that has not begun is restored, and only onto a volume that never had data.
    #[test]
    fn data_is_restored_once_and_never_over_other_data() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let volume = folder.path().join("volume");
        std::fs::create_dir(&volume).unwrap();
        let seed = |pod_name: &str| Seed {
            volume: volume.clone(),
            state: state.clone(),
            pod_name: pod_name.to_owned(),
        };
        let nothing = |pod_name: &str| matches!(todo(&seed(pod_name)).unwrap(), Todo::Nothing(_));
        assert!(todo(&seed("demo-database-0")).is_err(), "nothing is known");
        std::fs::write(&state, "wanted\n").unwrap();
        assert_eq!(
            todo(&seed("demo-database-0")).unwrap(),
            Todo::Restore(volume.join("data"))
        );
        assert!(nothing("demo-database-1"));
        assert!(todo(&seed("demo")).is_err());
        std::fs::write(&state, "done").unwrap();
        assert!(nothing("demo-database-0"));
        std::fs::write(&state, "wanted").unwrap();
        std::fs::create_dir(volume.join("agent")).unwrap();
        std::fs::write(volume.join("agent/state.json"), "{}").unwrap();
        assert!(nothing("demo-database-0"), "an agent has been here");
        std::fs::remove_dir_all(volume.join("agent")).unwrap();
        std::fs::create_dir(volume.join("data")).unwrap();
        assert!(nothing("demo-database-0"), "data is there");
    }
}
