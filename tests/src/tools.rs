//! Where the programs are that `make tools` brought.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder of the repository that this crate was built from.
pub fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder).to_path_buf()
}

/// The folder that `tests/tools.sh` fills: `.tools/`, or what `PANONO_TOOLS` names.
pub fn folder() -> PathBuf {
    std::env::var_os("PANONO_TOOLS").map_or_else(|| repository().join(".tools"), PathBuf::from)
}

/// The path of a program that `make tools` brings, such as `mysqld`.
///
/// # Errors
/// When it is not there, with the words to run.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = folder().join("bin").join(name);
    if !path.is_file() {
        bail!("{} is missing: run `make tools` once", path.display());
    }
    Ok(path)
}

/// A program of this repository, built into the folder in which the running test (or bench, or demo) was built.
///
/// # Errors
/// When it is not there, with the words to run.
pub fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find the running program")?;
    // Tests are built into `deps/` beside the programs, benches and the demo among them.
    let folders = own.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "there is no {name} beside {}: run `cargo build --workspace --bins`",
            own.display()
        )
    })
}
