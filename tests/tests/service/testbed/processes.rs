use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_tests::process::{Folder, Process};
use panono_tests::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(120);
/// The environment variable by which the test below starts itself again, to be killed.
const VICTIM: &str = "PANONO_TEST_VICTIM";

/// A process that starts another one, and says the numbers of both in a file.
fn parent_and_child(folder: &Path) -> (Command, PathBuf) {
    let numbers = folder.join("numbers");
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            r#"sleep 1000 & echo "$$ $!" >"$0.new"; mv "$0.new" "$0"; wait"#,
        ])
        .arg(&numbers);
    (command, numbers)
}

async fn numbers(path: &Path) -> Result<Vec<String>> {
    let text = wait_until("the numbers of the processes", LIMIT, async || {
        std::fs::read_to_string(path)
    })
    .await?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Whether the process runs. One that has ended and was not asked for by its parent yet does not.
fn runs(number: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|text| {
        !text
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
    })
}

#[tokio::test]
async fn a_dropped_process_takes_its_children_and_a_dropped_folder_its_files() -> Result<()> {
    let folder = Folder::new("drop")?;
    let (command, file) = parent_and_child(folder.path());
    let process = Process::start("parent", command, &folder.path().join("log"))?;
    let numbers = numbers(&file).await?;
    assert!(numbers.iter().all(|number| runs(number)));
    drop(process);
    assert!(
        !numbers.iter().any(|number| runs(number)),
        "something is left of {numbers:?}"
    );
    let path = folder.path().to_path_buf();
    drop(folder);
    assert!(!path.exists());
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_a_test_program_that_was_killed() -> Result<()> {
    let place = Folder::new("killed")?;
    let mut victim = Command::new(std::env::current_exe()?)
        .args([
            "--exact",
            "testbed::processes::a_program_to_be_killed",
            "--nocapture",
        ])
        .env(VICTIM, place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let left = wait_until("the victim to start its processes", LIMIT, async || {
        std::fs::read_to_string(place.path().join("ready"))
    })
    .await;
    victim.kill()?;
    victim.wait()?;
    let left = left?;
    let (folder, numbers) = left.split_once('\n').context("the victim wrote nothing")?;
    wait_until("the watcher to clear up", LIMIT, async || {
        for number in numbers.split_whitespace() {
            ensure!(!runs(number), "process {number} is left");
        }
        ensure!(!Path::new(folder).exists(), "{folder} is left");
        Ok(())
    })
    .await
}

/// Not a test by itself: it waits to be killed when the test above starts it, and has nothing to do otherwise.
#[tokio::test]
async fn a_program_to_be_killed() -> Result<()> {
    let Some(place) = std::env::var_os(VICTIM) else {
        return Ok(());
    };
    let place = PathBuf::from(place);
    let folder = Folder::new("victim")?;
    let (command, file) = parent_and_child(folder.path());
    let process = Process::start("parent", command, &folder.path().join("log"))?;
    let mut numbers = numbers(&file).await?;
    // A paused process must go, too.
    process.pause()?;
    numbers.push(process.id().to_string());
    std::fs::write(
        place.join("new"),
        format!("{}\n{}", folder.path().display(), numbers.join(" ")),
    )?;
    std::fs::rename(place.join("new"), place.join("ready"))?;
    process.wait(LIMIT * 2).await?;
    Ok(())
}

#[tokio::test]
async fn a_process_tells_how_it_ended() -> Result<()> {
    let folder = Folder::new("ended")?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo nothing to do; exit 3"]);
    let process = Process::start("idler", command, &folder.path().join("log"))?;
    assert_eq!(process.wait(LIMIT).await?.code(), Some(3));
    let message = process.must_run().unwrap_err().to_string();
    assert!(
        message.contains("idler ended") && message.contains("nothing to do"),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn a_wait_that_is_in_vain_tells_the_last_state() {
    let error = wait_until("the moon", Duration::ZERO, async || Err::<(), _>("a cloud"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the moon") && error.to_string().contains("a cloud"),
        "{error}"
    );
}
