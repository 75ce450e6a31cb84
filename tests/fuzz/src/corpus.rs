use std::path::{Path, PathBuf};
use std::{fs, io};

/// The inputs that are kept for one target.
pub(crate) struct Corpus(Vec<(PathBuf, Vec<u8>)>);

impl Corpus {
    /// Reads `tests/fuzz/corpus/NAME/`, in the order of its files' names, and adds what is `made`.
    pub(crate) fn read(name: &str, made: &[Vec<u8>]) -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut inputs: Vec<_> =
            paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect::<io::Result<_>>()?;
        inputs.extend(made.iter().enumerate().map(|(n, input)| (PathBuf::from(format!("made {n}")), input.clone())));
        if inputs.is_empty() { Err(io::Error::other("no input is kept")) } else { Ok(Self(inputs)) }
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().map(|(path, input)| (path.as_path(), input.as_slice()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn input(&self, index: usize) -> &[u8] {
        self.0.get(index).map(|(_, input)| input.as_slice()).unwrap_or_default()
    }
}
