//! What a command has to do with where it runs: which member it asks, and the report that it leaves for whoever started it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};

use super::error::BackupError;
use super::server::failed;
use crate::gtid::GtidSet;

/// A report has to fit into the message with which a container ends, which is 4096 bytes.
const LONGEST_SET: usize = 1500;
const LONGEST_MESSAGE: usize = 1000;

/// What came of a command: JSON in a file, such as `/dev/termination-log` of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// The backup, by its name at the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The moment of its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// Bytes of the files in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes at the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// The transactions in it, or up to which it was restored; nothing where these are too many ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// Whether what was verified is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// What is wrong, or worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tables that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<usize>,
    /// Seconds that the restore took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<f64>,
}

impl Report {
    /// The report of a command that failed.
    #[must_use]
    pub fn failed(message: &str) -> Self {
        Self {
            message: Some(message.to_owned()),
            ..Self::default()
        }
    }

    /// With these transactions, if they are not too many ranges.
    #[must_use]
    pub fn with_set(mut self, set: &GtidSet) -> Self {
        let text = set.to_string();
        self.gtid = (text.len() <= LONGEST_SET).then_some(text);
        self
    }

    /// Reads one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path) -> Result<(), BackupError> {
        let mut short = self.clone();
        short.message = short
            .message
            .map(|words| words.chars().take(LONGEST_MESSAGE).collect());
        let text = serde_json::to_string(&short)
            .map_err(|error| failed("write its report", error.to_string()))?;
        std::fs::write(path, text).map_err(BackupError::disk("write", path))
    }
}

/// What a member is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It replicates.
    Secondary,
    /// It is in no group: a server alone, or a member that is out of its group.
    Alone,
}

/// What the server is in its group, by its own view.
///
/// # Errors
/// When it does not say.
pub async fn role(connection: &mut MySqlConnection) -> Result<Role, BackupError> {
    let role: Option<String> = sqlx::query_scalar(
        "SELECT CAST(MEMBER_ROLE AS CHAR) FROM performance_schema.replication_group_members \
         WHERE MEMBER_ID = @@server_uuid AND MEMBER_STATE = 'ONLINE'",
    )
    .fetch_optional(connection)
    .await
    .map_err(BackupError::sql("read the role of the member"))?;
    Ok(match role.as_deref() {
        Some("PRIMARY") => Role::Primary,
        Some(_) => Role::Secondary,
        None => Role::Alone,
    })
}

/// The best of several members to be backed up: a secondary, else the primary. One that is given alone is taken as it is.
///
/// # Errors
/// When none of them is in its group, with what each said.
pub async fn choose(
    members: &[(String, u16)],
    login: impl Fn(&str, u16) -> MySqlConnectOptions,
) -> Result<(String, u16), BackupError> {
    use sqlx::ConnectOptions as _;
    if let [only] = members {
        return Ok(only.clone());
    }
    let (mut primary, mut problems) = (None, Vec::new());
    for (host, port) in members {
        let asked = async {
            let mut connection = login(host, *port)
                .connect()
                .await
                .map_err(BackupError::sql("reach the member"))?;
            role(&mut connection).await
        };
        let limit = std::time::Duration::from_secs(10);
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(Role::Secondary)) => return Ok((host.clone(), *port)),
            Ok(Ok(Role::Primary)) => primary = Some((host.clone(), *port)),
            Ok(Ok(Role::Alone)) => problems.push(format!("{host} is out of its group")),
            Ok(Err(error)) => problems.push(format!("{host}: {error}")),
            Err(_) => problems.push(format!("{host} does not answer")),
        }
    }
    primary.ok_or_else(|| failed("find a member", problems.join("; ")))
}

/// Copies this program into a folder, from where it is run beside another image's server.
///
/// # Errors
/// When the disk refuses.
pub fn install(folder: &Path) -> Result<(), BackupError> {
    let source = std::env::current_exe().map_err(BackupError::disk("find", Path::new("/proc")))?;
    let target: PathBuf = folder.join("panono-backup");
    // Under another name first: a container that is started again finds the whole program or none.
    let part = target.with_extension("part");
    std::fs::copy(&source, &part).map_err(BackupError::disk("copy", &source))?;
    std::fs::rename(&part, &target).map_err(BackupError::disk("rename", &part))
}

#[cfg(test)]
mod tests {
    use super::Report;

    /// The message with which a container ends has 4096 bytes at most, and what is cut cannot be read.
    #[test]
    fn a_report_is_short_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let many: String = (0..200)
            .map(|number| format!("6f9619ff-8b86-4011-b42d-{number:012}:1-9"))
            .collect::<Vec<_>>()
            .join(",");
        let report = Report {
            backup: Some("20261130T020000Z-0011aabb".to_owned()),
            passed: Some(false),
            ..Report::failed(&"é".repeat(5000))
        };
        report
            .with_set(&many.parse().unwrap())
            .write(&path)
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() < 4096, "{}", text.len());
        let read = Report::read(&text).unwrap();
        assert_eq!(read.passed, Some(false));
        assert_eq!(read.gtid, None);
        assert_eq!(read.message.unwrap().chars().count(), 1000);
    }
}
