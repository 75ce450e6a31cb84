use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::words;

/// The inputs and words that are kept for one target.
pub(crate) struct Corpus {
    inputs: Vec<(PathBuf, Vec<u8>)>,
    words: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads `corpus/NAME/`, in the order of its files' names, adds what is `made`, and reads `words/NAME.dict`.
    pub(crate) fn read(name: &str, made: &[Vec<u8>]) -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = fs::read_dir(folder.join("corpus").join(name))?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut inputs: Vec<_> =
            paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect::<io::Result<_>>()?;
        inputs.extend(made.iter().enumerate().map(|(n, input)| (PathBuf::from(format!("made {n}")), input.clone())));
        let words = words::read(&folder.join("words").join(format!("{name}.dict")))?;
        if inputs.is_empty() { Err(io::Error::other("no input is kept")) } else { Ok(Self { inputs, words }) }
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.inputs.iter().map(|(path, input)| (path.as_path(), input.as_slice()))
    }

    pub(crate) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(crate) fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    pub(crate) fn input(&self, index: usize) -> &[u8] {
        self.inputs.get(index).map(|(_, input)| input.as_slice()).unwrap_or_default()
    }
}
