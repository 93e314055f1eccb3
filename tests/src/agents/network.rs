//! Networks of one's own: a namespace for each member, and a bridge between them.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// How many this program has made: their names differ.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Bridge and namespaces of one group. They go with this value; what a killed program left is removed by the next one.
#[derive(Debug)]
pub struct Network {
    name: String,
    number: u8,
    members: usize,
}

impl Network {
    /// Makes them, if this machine allows it.
    pub fn new(members: usize) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        clear_up();
        let network = Self {
            name: format!(
                "pn{}x{}",
                std::process::id(),
                MADE.fetch_add(1, Ordering::Relaxed)
            ),
            number: rand::random_range(1..=250),
            members,
        };
        match network.make() {
            Ok(()) => Some(network),
            Err(error) => {
                eprintln!("no networks of our own: {error:#}");
                None
            }
        }
    }

    fn make(&self) -> Result<()> {
        crate::watcher::network_made(&self.name)?;
        ip(&["link", "add", &self.name, "type", "bridge"])?;
        let gateway = format!("{}/24", self.address_of(1));
        ip(&["addr", "add", &gateway, "dev", &self.name])?;
        ip(&["link", "set", &self.name, "up"])?;
        for index in 0..self.members {
            let (namespace, outside) = (self.namespace(index), self.link(index));
            ip(&["netns", "add", &namespace])?;
            ip(&[
                "link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns",
                &namespace,
            ])?;
            ip(&["link", "set", &outside, "master", &self.name])?;
            ip(&["link", "set", &outside, "up"])?;
            let address = format!("{}/24", self.address(index));
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// The address of a member.
    pub fn address(&self, index: usize) -> Ipv4Addr {
        self.address_of(u8::try_from(index).map_or(u8::MAX, |index| index + 2))
    }

    fn address_of(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 203, self.number, last)
    }

    /// The namespace of a member.
    pub fn namespace(&self, index: usize) -> String {
        format!("{}-{index}", self.name)
    }

    fn link(&self, index: usize) -> String {
        format!("{}v{index}", self.name)
    }

    /// Cuts a member off: nothing it says is heard, and it hears nothing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn isolate(&self, index: usize) -> Result<()> {
        ip(&["link", "set", &self.link(index), "down"])
    }

    /// Ends [`Network::isolate`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn reconnect(&self, index: usize) -> Result<()> {
        ip(&["link", "set", &self.link(index), "up"])
    }

    /// A member hears nothing any longer, while it is heard; or all is well again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn deafen(&self, index: usize, deaf: bool) -> Result<()> {
        let change = if deaf { "-A" } else { "-D" };
        let namespace = self.namespace(index);
        run(
            "ip",
            &[
                "netns", "exec", &namespace, "iptables", change, "INPUT", "-i", "eth0", "-j",
                "DROP",
            ],
        )
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("failed to run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Removes what programs that were killed have left.
fn clear_up() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((network, _)) = name.split_once('-')
            && let Some((pid, _)) = network
                .strip_prefix("pn")
                .and_then(|rest| rest.split_once('x'))
            && pid.parse::<u32>().is_ok()
            && !std::path::Path::new(&format!("/proc/{pid}")).exists()
        {
            remove(network);
        }
    }
}

fn remove(name: &str) {
    ip(&["link", "del", name]).ok();
    for index in 0..9 {
        let namespace = format!("{name}-{index}");
        if std::path::Path::new("/run/netns").join(&namespace).exists() {
            ip(&["netns", "del", &namespace]).ok();
        }
    }
}
