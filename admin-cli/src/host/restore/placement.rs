//! Which file of a backup goes where. Nothing that is there is written over.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Wanted;
use crate::arguments::Restore;
use crate::host::backup::manifest::{Entry, Manifest};
use crate::output::Failure;

/// All files and their places.
pub(super) struct Placement {
    moves: Vec<Move>,
}

struct Move {
    from: PathBuf,
    to: PathBuf,
    mode: u32,
}

impl Placement {
    /// Finds a free place for each file; tells all that are taken.
    pub(super) fn plan(manifest: &Manifest, arguments: &Restore, wanted: &Wanted) -> Result<Self, Failure> {
        let (mut moves, mut taken) = (Vec::new(), Vec::new());
        for entry in &manifest.files {
            let Some(to) = place(entry, arguments, wanted) else { continue };
            let from = arguments.from.join(&entry.path);
            if to.exists() {
                if !same(&from, &to) {
                    taken.push(to.display().to_string());
                }
                continue;
            }
            moves.push(Move { from, to, mode: entry.mode });
        }
        // What SQLite would take for the end of the restored store.
        let store = wanted.snapshot.settings.store.path.display();
        let helpers = ["-wal", "-shm", "-journal"].map(|suffix| format!("{store}{suffix}"));
        taken.extend(helpers.into_iter().filter(|path| Path::new(path).exists()));
        let journal = &wanted.snapshot.settings.journal.directory;
        let segments = fs::read_dir(journal).is_ok_and(|mut files| files.any(|file| file.is_ok_and(is_segment)));
        if segments && !arguments.keep_journal {
            taken.push(format!("{} (a journal: --keep-journal goes on with it)", journal.display()));
        }
        if taken.is_empty() {
            return Ok(Self { moves });
        }
        taken.sort();
        Err(Failure::local(format!("nothing is written over; move these away first:\n  {}", taken.join("\n  "))))
    }

    /// Copies them. What was copied goes again unless it is kept.
    pub(super) fn carry_out(self) -> Result<Placed, Failure> {
        let mut placed = Placed(Vec::new());
        for step in self.moves {
            copy(&step).map_err(|error| Failure::file(&step.to, &error))?;
            placed.0.push(step.to);
        }
        Ok(placed)
    }
}

/// Where a file of the backup belongs; `None`: what is there already stays.
fn place(entry: &Entry, arguments: &Restore, wanted: &Wanted) -> Option<PathBuf> {
    let settings = &wanted.snapshot.settings;
    let (kind, rest) = entry.path.split_once('/')?;
    match kind {
        "store" => Some(settings.store.path.clone()),
        "keys" => Some(settings.store.path.with_file_name(rest)),
        "journal" => (!arguments.keep_journal).then(|| settings.journal.directory.join(rest)),
        "config" if is_main(rest) => (!wanted.kept).then(|| wanted.file.clone()),
        "config" if rest.starts_with("policy/") => (!wanted.kept).then(|| wanted.folder.join(rest)),
        "config" => Some(wanted.folder.join(rest)).filter(|place| !wanted.kept || !place.exists()),
        "outside" => Some(Path::new("/").join(rest)).filter(|place| !wanted.kept || !place.exists()),
        _ => None,
    }
}

fn is_main(path: &str) -> bool {
    !path.contains('/') && path.ends_with(".toml")
}

fn is_segment(file: fs::DirEntry) -> bool {
    file.file_name().to_string_lossy().starts_with("segment-")
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((fs::read(a), fs::read(b)), (Ok(a), Ok(b)) if a == b)
}

fn copy(step: &Move) -> io::Result<()> {
    if let Some(folder) = step.to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut to = OpenOptions::new().write(true).create_new(true).mode(step.mode).open(&step.to)?;
    io::copy(&mut File::open(&step.from)?, &mut to)?;
    to.sync_all()
}

/// What was copied; taken away again when dropped without [`Self::keep`].
pub(super) struct Placed(Vec<PathBuf>);

impl Placed {
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        for path in &self.0 {
            // What can't be taken away is in the way of the next attempt, which says so.
            let _ = fs::remove_file(path);
        }
    }
}
