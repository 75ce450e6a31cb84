//! Writes every page in both languages into a folder, for looking at:
//! `cargo run -p sekimori-portal --features samples --example pages -- DIR`

use std::path::PathBuf;
use std::{env, fs, io};

use portal::{Language, samples};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("name a folder"))?;
    for language in Language::ALL {
        let place = folder.join(language.tag());
        fs::create_dir_all(&place)?;
        for (name, html) in samples::pages(language, samples::ORDINARY) {
            // Opened from a folder, the assets are beside the pages.
            fs::write(place.join(format!("{name}.html")), html.replace("/.sekimori/assets/", "../assets/"))?;
        }
    }
    let assets = folder.join("assets");
    fs::create_dir_all(&assets)?;
    for (name, bytes) in samples::assets() {
        fs::write(assets.join(name), bytes)?;
    }
    Ok(())
}
