//! What the data plane works out once for a session and keeps with it: the jar of its upstream cookies, and the
//! header fields that tell apps who asks.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::HeaderValue;
use identity::Live;
use model::percent_encoded;

use crate::cookies::{Jar, Jars};

/// Goes along with one session.
pub(crate) struct Companion {
    jar: Option<Jar>,
    said: Mutex<Vec<Arc<Introduction>>>,
}

/// Who asks, in the words of one assertion.
pub(crate) struct Introduction {
    token: Arc<str>,
    pub(crate) assertion: HeaderValue,
    pub(crate) user: HeaderValue,
    /// Percent-encoded UTF-8.
    pub(crate) name: HeaderValue,
    pub(crate) groups: HeaderValue,
}

impl Companion {
    /// The session's own; `None` never comes to pass, because nobody else keeps anything with a session.
    pub(crate) fn of(live: &Live, jars: &Jars) -> Option<Arc<Self>> {
        live.companion(|| Self { jar: jars.of(live.id()), said: Mutex::default() })
    }

    /// `None` when its key can't be derived (it can).
    pub(crate) const fn jar(&self) -> Option<&Jar> {
        self.jar.as_ref()
    }

    /// The fields that go with `token`, an assertion of this session for these roles. `None`: something of it
    /// can't stand in a header field.
    pub(crate) fn introduction(&self, token: &Arc<str>, live: &Live, roles: &[String]) -> Option<Arc<Introduction>> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = said.iter().find(|known| Arc::ptr_eq(&known.token, token)) {
            return Some(Arc::clone(known));
        }
        let introduction = Arc::new(Introduction::new(token, live, roles)?);
        // An assertion that nobody but us holds is out of use.
        said.retain(|old| Arc::strong_count(&old.token) > Introduction::HOLDS);
        said.push(Arc::clone(&introduction));
        Some(introduction)
    }
}

impl Introduction {
    /// How often an introduction holds its token: as itself, and as the bytes of its field.
    const HOLDS: usize = 2;

    fn new(token: &Arc<str>, live: &Live, roles: &[String]) -> Option<Self> {
        let person = live.person();
        let shared = Bytes::from_owner(Shared(Arc::clone(token)));
        Some(Self {
            token: Arc::clone(token),
            assertion: HeaderValue::from_maybe_shared(shared).ok()?,
            user: HeaderValue::from_str(person.staff_no.as_str()).ok()?,
            name: HeaderValue::from_str(&percent_encoded(&person.name)).ok()?,
            groups: HeaderValue::from_str(&roles.join(",")).ok()?,
        })
    }
}

/// The text of an assertion as bytes that are shared, not copied.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
