//! The programs of agents and of backups run in images that they were not built for.

use panono_tests::agents::program;
use panono_tests::tools;

/// The newest minor version of glibc 2 that images of MySQL are sure to have.
const NEWEST: u32 = 34;

#[test]
fn they_need_no_newer_system_library_than_images_of_mysql_have() {
    for program in [program().unwrap(), tools::beside("panono-backup").unwrap()] {
        old_enough(&program);
    }
}

fn old_enough(program: &std::path::Path) {
    let bytes = std::fs::read(program).unwrap();
    let mark = b"GLIBC_2.";
    let mut versions: Vec<u32> = bytes
        .windows(mark.len() + 3)
        .filter(|window| window.starts_with(mark))
        .filter_map(|window| {
            let digits: String = window[mark.len()..]
                .iter()
                .map(|byte| char::from(*byte))
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        })
        .collect();
    versions.sort_unstable();
    versions.dedup();
    assert!(
        !versions.is_empty(),
        "the program names no version of glibc"
    );
    assert!(
        versions.iter().all(|version| *version <= NEWEST),
        "{} needs glibc 2.{}",
        program.display(),
        versions.last().unwrap()
    );
}

#[test]
fn they_install_themselves() {
    let folder = panono_tests::process::Folder::new("install").unwrap();
    let status = std::process::Command::new(program().unwrap())
        .arg("install")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let said = std::process::Command::new(folder.path().join("panono-agent"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("panono-agent "));

    let status = std::process::Command::new(tools::beside("panono-backup").unwrap())
        .arg("install")
        .arg(format!("--folder={}", folder.path().display()))
        .status()
        .unwrap();
    assert!(status.success());
    let said = std::process::Command::new(folder.path().join("panono-backup"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("panono-backup "));
}
