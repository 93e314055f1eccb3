//! Ports on 127.0.0.1 that no two tests share, not even in different programs.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

/// Below the range from which the kernel takes the ports of outgoing connections (from 32768), so that a server which is
/// restarted finds its port still free.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A port of 127.0.0.1 that is ours as long as this value lives: a lock on a file keeps other programs of the testbed
/// away from it, also while nothing listens.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a port on which nothing listens.
    ///
    /// # Errors
    /// When the lock files cannot be made, or every port of the range is taken.
    pub fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join("panono-ports");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        // A random start keeps programs that start together from walking the same ports one behind the other.
        let start = rand::random_range(0..COUNT);
        for step in 0..COUNT {
            let number = FIRST + (start + step) % COUNT;
            // Another user's lock file cannot be opened; there are other ports.
            let Ok(lock) = File::create(folder.join(number.to_string())) else {
                continue;
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("failed to lock a port");
                }
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        bail!("all of the {COUNT} ports from {FIRST} on are taken")
    }

    /// Takes this port.
    ///
    /// # Errors
    /// When it is another's, or something listens on it.
    pub fn exactly(number: u16) -> Result<Self> {
        let folder = std::env::temp_dir().join("panono-ports");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let lock =
            File::create(folder.join(number.to_string())).context("failed to lock a port")?;
        lock.try_lock()
            .context("the port belongs to another program")?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number))
            .context("something listens on the port")?;
        Ok(Self {
            number,
            _lock: lock,
        })
    }

    /// The number of the port.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn ports_held_at_the_same_time_differ() {
        let mut ports: Vec<_> = (0..200).map(|_| Port::take().unwrap()).collect();
        ports.sort_by_key(Port::number);
        ports.dedup_by_key(|port| port.number());
        assert_eq!(ports.len(), 200);
    }
}
