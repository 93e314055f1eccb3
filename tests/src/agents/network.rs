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

    /// Resets all connections between members; says so where the kernel cannot (it lacks `CONFIG_INET_DIAG_DESTROY`).
    ///
    /// # Errors
    /// When there are none.
    pub fn reset_between_members(&self) -> Result<()> {
        let peers: Vec<String> = (0..self.members)
            .map(|index| format!("dst {}", self.address(index)))
            .collect();
        let between = format!("( {} )", peers.join(" or "));
        let (mut there, mut reset) = (0, 0);
        for index in 0..self.members {
            there += self.sockets(index, &["-tHn", &between])?;
            reset += self.sockets(index, &["-tHnK", &between])?;
        }
        if there == 0 {
            bail!("members were not connected");
        }
        if reset == 0 {
            eprintln!("connections of members are not cut: the kernel resets none");
        }
        Ok(())
    }

    /// How many of a member's sockets `ss` names.
    fn sockets(&self, index: usize, arguments: &[&str]) -> Result<usize> {
        let namespace = self.namespace(index);
        let mut all = vec!["netns", "exec", &namespace, "ss"];
        all.extend(arguments);
        Ok(run("ip", &all)?.lines().count())
    }

    /// A member hears nothing any longer, while it is heard; or all is well again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn deafen(&self, index: usize, deaf: bool) -> Result<()> {
        let namespace = self.namespace(index);
        let rule = |words: &[&str]| {
            let mut all = vec!["-n", &namespace, "rule"];
            all.extend(words);
            ip(&all)
        };
        // What is for the member itself is looked up first, and would be let in: that rule has to come after ours.
        if deaf {
            rule(&["add", "pref", "2", "lookup", "local"])?;
            rule(&["del", "pref", "0"])?;
            rule(&["add", "pref", "1", "iif", "eth0", "blackhole"])
        } else {
            rule(&["del", "pref", "1"])?;
            rule(&["add", "pref", "0", "lookup", "local"])?;
            rule(&["del", "pref", "2"])
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments).map(drop)
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
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
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
