//! Style sheet, scripts and mark: embedded, named by their content, cacheable for ever.

use std::collections::HashMap;

use aws_lc_rs::digest;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use rust_embed::RustEmbed;

use crate::headers;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// Where the assets are, on every host of ours.
pub(crate) const PATH: &str = "/.sekimori/assets/";

/// All assets by the name that pages link to.
#[derive(Debug)]
pub(crate) struct Assets {
    by_name: HashMap<String, Asset>,
    links: Links,
}

#[derive(Debug)]
struct Asset {
    media_type: &'static str,
    bytes: Bytes,
}

/// The addresses that the frame of every page uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) style: String,
    pub(crate) passkey: String,
    pub(crate) page: String,
    pub(crate) mark: String,
}

impl Assets {
    pub(crate) fn load() -> Self {
        let mut by_name = HashMap::new();
        let mut links = Links::default();
        for file in Files::iter() {
            let Some((asset, name)) = read(&file) else { continue };
            let link = format!("{PATH}{name}");
            match file.as_ref() {
                "sekimori.css" => links.style = link,
                "passkey.js" => links.passkey = link,
                "page.js" => links.page = link,
                "mark.svg" => links.mark = link,
                _ => {}
            }
            by_name.insert(name, asset);
        }
        Self { by_name, links }
    }

    #[cfg(any(test, feature = "samples"))]
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.by_name.iter().map(|(name, asset)| (name.clone(), asset.bytes.to_vec())).collect()
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// The asset of that name, if there is one.
    pub(crate) fn serve(&self, name: &str) -> Option<Response> {
        let asset = self.by_name.get(name)?;
        let mut answer = Response::new(Body::from(asset.bytes.clone()));
        let headers = answer.headers_mut();
        headers::guard_asset(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        Some(answer)
    }
}

/// `sekimori.css` becomes `sekimori.<12 characters of its hash>.css`.
fn read(file: &str) -> Option<(Asset, String)> {
    let bytes = Bytes::from(Files::get(file)?.data.into_owned());
    let (stem, extension) = file.rsplit_once('.')?;
    let media_type = match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &bytes));
    let name = format!("{stem}.{}.{extension}", hash.get(..12)?);
    Some((Asset { media_type, bytes }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_the_frame_leads_to_an_asset() {
        let assets = Assets::load();
        let links = assets.links();
        for link in [&links.style, &links.passkey, &links.page, &links.mark] {
            let name = link.strip_prefix(PATH).unwrap_or_else(|| panic!("no link: {link:?}"));
            assert_eq!(assets.serve(name).unwrap().status(), 200);
        }
    }

    #[test]
    fn what_is_not_embedded_is_not_there() {
        let assets = Assets::load();
        for name in ["sekimori.css", "../Cargo.toml", "", "..%2fCargo.toml"] {
            assert!(assets.serve(name).is_none(), "{name}");
        }
    }

    #[test]
    fn no_script_keeps_anything_in_the_browsers_storage_or_reaches_elsewhere() {
        for file in Files::iter().filter(|file| file.ends_with(".js")) {
            let data = Files::get(&file).unwrap().data;
            let text = std::str::from_utf8(&data).unwrap();
            for word in
                ["localStorage", "sessionStorage", "indexedDB", "innerHTML", "eval(", "http://", "https://", "fetch("]
            {
                assert!(!text.contains(word), "{file} has {word} (C-46)");
            }
        }
    }
}
