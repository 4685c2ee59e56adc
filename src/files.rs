//! Files of the server. They must belong to the user that runs the server, whoever creates them: a command
//! that root runs before the first start must not lock the server out of its own data.
//!
//! Root gives the files that it creates to the owner of the directory. Links are not followed: that owner
//! must not make root give away a file that is elsewhere.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, lchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Creates a directory that only its owner may enter, and its parents, unless it exists.
///
/// # Errors
/// The error of the file system.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => hand_over_path(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).ok_or(error)?;
            make_directory(above)?;
            make_directory(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether others than its owner may enter a directory, or see what is in it.
///
/// # Errors
/// The error of the file system.
pub fn is_open(dir: &Path) -> io::Result<bool> {
    Ok(fs::metadata(dir)?.mode() & 0o077 != 0)
}

/// Makes a directory accessible for its owner only.
///
/// # Errors
/// The error of the file system: the directory belongs to another user.
pub fn close_directory(dir: &Path) -> io::Result<()> {
    let mode = fs::metadata(dir)?.mode();
    fs::set_permissions(dir, Permissions::from_mode(mode & 0o7700))
}

/// Opens a file for reading and writing. Creates it with this mode if it does not exist.
///
/// # Errors
/// The error of the file system. A symbolic link is refused.
pub fn open_own(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(mode).custom_flags(no_links());
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            hand_over(&file, path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Writes the whole file or nothing. The file never has a wider mode, not even for a moment.
///
/// # Errors
/// The error of the file system.
pub fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut beside: PathBuf = path.to_owned();
    beside.as_mut_os_string().push(".new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    hand_over(&new, path)?;
    new.write_all(content)?;
    new.sync_all()?;
    fs::rename(&beside, path)
}

/// Gives a file that was just created at `path` to the owner of its directory, if root created it.
///
/// # Errors
/// The error of the file system.
pub fn hand_over(file: &File, path: &Path) -> io::Result<()> {
    match owner_beside(path)? {
        Some((user, group)) => fchown(file, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// The same for a directory or a socket. A link itself changes its owner.
///
/// # Errors
/// The error of the file system.
pub fn hand_over_path(path: &Path) -> io::Result<()> {
    match owner_beside(path)? {
        Some((user, group)) => lchown(path, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// Gives what root left at `path` to the owner of its directory, if it is a directory, or a file without
/// other hard links. Returns whether it did.
///
/// # Errors
/// The error of the file system.
pub fn mend_owner(path: &Path) -> io::Result<bool> {
    let Some((user, group)) = owner_beside(path)? else { return Ok(false) };
    let file = OpenOptions::new().read(true).custom_flags(no_links()).open(path);
    // A link or a socket locks nobody out.
    let Ok(file) = file else { return Ok(false) };
    let found = file.metadata()?;
    let is_plain = found.is_dir() || found.is_file() && found.nlink() == 1;
    if found.uid() != 0 || !is_plain {
        return Ok(false);
    }
    fchown(&file, Some(user), Some(group))?;
    Ok(true)
}

/// Explains a refusal by ownership: the owner of the file, and the user of this process. Empty if that is not
/// the reason.
#[must_use]
pub fn foreign(path: &Path) -> Option<String> {
    let found = fs::metadata(path).or_else(|_| fs::metadata(directory_of(path))).ok()?;
    let us = geteuid().as_raw();
    let whose = found.uid();
    (whose != us).then(|| format!("it belongs to user {whose}, and this program runs as user {us}"))
}

/// The owner of the directory, if this process is root and the owner is not.
fn owner_beside(path: &Path) -> io::Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = fs::metadata(directory_of(path))?;
    Ok((found.uid() != 0).then(|| (found.uid(), found.gid())))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn no_links() -> i32 {
    // NONBLOCK: a pipe in place of a file must not block.
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{close_directory, is_open, make_directory, open_own, write_whole};

    #[test]
    fn directories_are_made_for_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("a/b");
        make_directory(&dir).unwrap();
        make_directory(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!is_open(&dir).unwrap());
        for open in [0o755, 0o701, 0o777] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(open)).unwrap();
            assert!(is_open(&dir).unwrap());
            close_directory(&dir).unwrap();
            assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        }
        fs::write(place.path().join("file"), "").unwrap();
        make_directory(&place.path().join("file")).unwrap_err();
    }

    #[test]
    fn a_link_is_not_followed_to_a_file_from_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("target"), place.path().join("link"));
        fs::write(&target, "theirs").unwrap();
        symlink(&target, &link).unwrap();
        open_own(&link, 0o600).unwrap_err();
        write_whole(&link, b"ours", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&link).unwrap(), "ours");
        assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
