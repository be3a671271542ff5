//! Power loss: state and folders lie on file systems of their own, in images. The power goes at a random moment: the
//! daemon ends, and what had not reached the images is lost, as on a disk. Then they are mounted again.

use super::{
    run::{Draws, rounds},
    siege::Siege,
    stand::Stand,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// An image with a file system, mounted.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Disk {
    fn new(image: PathBuf, at: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&at).unwrap();
        fs::File::create(&image).unwrap().set_len(192 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        let disk = Self { image, at };
        disk.mount()?;
        fs::remove_dir(disk.at.join("lost+found")).unwrap();
        fs::set_permissions(&disk.at, fs::Permissions::from_mode(0o700)).unwrap();
        Ok(disk)
    }

    /// The file system writes by itself only after five minutes: until then only what was synced lasts.
    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop,commit=300"]).arg(&self.image).arg(&self.at))
    }

    fn unmount(&self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.at))
    }

    /// The image as it is at this moment, without what the file system still has in memory.
    fn keep(&self) {
        run(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(self.kept())).unwrap();
    }

    fn kept(&self) -> PathBuf {
        self.image.with_extension("kept")
    }

    /// Back to the kept image.
    fn power_comes_back(&self) {
        self.unmount().unwrap();
        fs::rename(self.kept(), &self.image).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(&self.at));
    }
}

fn disks(stand: &Stand) -> Result<[Disk; 2], String> {
    let disk = |name: &str| Disk::new(stand.path(&format!("{name}.img")), stand.path(name));
    Ok([disk("state")?, disk("channels")?])
}

/// What was written and not synced is not there when the power comes back: else the suite would prove nothing.
fn forgets(disk: &Disk, folder: &Path) {
    fs::write(folder.join("unsynced"), "gone").unwrap();
    disk.keep();
    disk.power_comes_back();
    assert!(!folder.join("unsynced").exists(), "the image forgets what was not synced");
}

#[test]
fn when_the_power_goes_nothing_is_lost_and_nothing_is_sent_twice() {
    let stand = Stand::by_folder();
    let disks = match disks(&stand) {
        Ok(disks) => disks,
        Err(why) => {
            println!("power: SKIPPED: this machine makes no file systems in images for us ({why})");
            return;
        }
    };
    forgets(&disks[0], &stand.path("state"));
    let mut siege = Siege::of(stand, Draws::new("power"));
    let mut cuts = 0;
    for _ in rounds(40, 1_000) {
        cuts += 1;
        siege.drop_files(3);
        if siege.draws.below(4) == 0 {
            siege.expire_a_token();
        }
        let lifetime = Duration::from_millis(100 + siege.draws.next() % 600);
        let known = siege.log_length();
        siege.stand.spawn_daemon(&[]);
        // Half of the moments are counted from the daemon's first line, which a busy machine may be long about.
        if siege.draws.below(2) == 0 {
            siege.wait_until_awake(known);
        }
        std::thread::sleep(lifetime);
        // Nobody writes any more: both images are of one moment.
        siege.stand.kill_daemon();
        disks.iter().for_each(Disk::keep);
        disks.iter().for_each(Disk::power_comes_back);
        siege.authorise_paused();
    }
    println!("power: {cuts} cuts; {}", siege.judge());
}
