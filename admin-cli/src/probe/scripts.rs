//! What a script does, as far as its text shows.

/// Ways of a script that matter to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Way {
    WebSocket,
    EventSource,
    ServiceWorker,
    Worker,
    Cookies,
    Polling,
    Framed,
    Fetch,
}

/// What gives each away.
const MARKS: [(Way, &[&str]); 8] = [
    (Way::WebSocket, &["new WebSocket(", "socket.io", "signalR", "sockjs", "ws://", "wss://"]),
    (Way::EventSource, &["new EventSource("]),
    (Way::ServiceWorker, &["serviceWorker.register("]),
    (Way::Worker, &["new Worker(", "new SharedWorker("]),
    (Way::Cookies, &["document.cookie"]),
    (Way::Polling, &["setInterval("]),
    (Way::Framed, &["window.top", "parent.postMessage", "top.location"]),
    (Way::Fetch, &["fetch(", "XMLHttpRequest", "axios", "$.ajax"]),
];

/// The ways that show in `script`.
pub(super) fn ways(script: &str) -> Vec<Way> {
    MARKS.iter().filter(|(_, marks)| marks.iter().any(|mark| script.contains(mark))).map(|(way, _)| *way).collect()
}

/// The names of cookies that a script seems to read or write: `document.cookie = "name=…"`, and comparisons
/// such as `"name="`, near the word.
pub(super) fn cookie_names(script: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in script.match_indices("document.cookie") {
        let near: String = script.get(at..).unwrap_or_default().chars().take(200).collect();
        for piece in near.split(['"', '\'', '`']).skip(1).step_by(2) {
            let name = piece.split('=').next().unwrap_or_default();
            let plain =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if plain && piece.contains('=') && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// Methods beside GET and POST that a script asks with.
pub(super) fn methods(script: &str) -> Vec<&'static str> {
    let quoted = |method: &str| ['"', '\'', '`'].iter().any(|q| script.contains(&format!("{q}{method}{q}")));
    ["POST", "PUT", "PATCH", "DELETE"].into_iter().filter(|method| quoted(method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_text_gives_its_ways_away() {
        let script = "const s = new WebSocket(`wss://${location.host}/live`); setInterval(() => fetch('/api', {method: \
                      'DELETE'}), 5000); document.cookie = 'theme=dark; path=/'; navigator.serviceWorker.register('/sw.js')";
        assert_eq!(ways(script), [Way::WebSocket, Way::ServiceWorker, Way::Cookies, Way::Polling, Way::Fetch]);
        assert_eq!(cookie_names(script), ["theme"]);
        assert_eq!(methods(script), ["DELETE"]);
        assert!(ways("let x = 1").is_empty());
    }
}
