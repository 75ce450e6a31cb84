//! From the portal to an app host: a code of 256 bits, 30 s, once, for one host and one browser.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Outcome, Record, Who, Why};
use model::{Edge, SessionState, Timestamp, Token, TokenHash, TokenKind};
use store::sessions::{self, Handshake};
use store::{Facts, Unrecorded};

use super::registry::Key;
use super::{By, Entered, Live, SessionError, Sessions, about};
use crate::Target;

const CODE_LIFE: Duration = Duration::from_secs(30);
/// Tokens of the same host that are older go when a new one is made: tabs restored together all
/// succeed, and whatever token their shared cookie ends up with is good.
const OVERLAP: Duration = Duration::from_secs(60);

impl Sessions {
    /// The code for `https://HOST/.sekimori/enter?code=`, good for one browser at the address that it began at.
    ///
    /// # Errors
    /// [`SessionError::State`] unless the session is active, [`SessionError::Store`].
    pub async fn handshake_code(
        &self,
        live: &Live,
        host: &str,
        app_binder: TokenHash,
        target: &Target,
        address: IpAddr,
    ) -> Result<Token, SessionError> {
        let now = self.now();
        if live.state(now) != SessionState::Active {
            return Err(SessionError::State);
        }
        let code = Token::generate()?;
        let handshake = Handshake {
            session: live.id(),
            host: host.to_owned(),
            binder: place(&app_binder, address),
            target: target.as_str().to_owned(),
            expires_at: now.after(CODE_LIFE),
        };
        let mut tx = self.0.store.begin().await?;
        sessions::insert_handshake(&mut tx, &code.hash(TokenKind::Handshake), &handshake).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(code)
    }

    /// Redeems a code on the app host of `edge`, for the browser that has `binder` there. Wrong in any
    /// respect, a code is used up all the same, and there is no session. A code that nobody was given, or
    /// that was used, costs the store a look and is left to the caller to record: strangers send those.
    ///
    /// # Errors
    /// [`SessionError::UnknownCode`], [`SessionError::Store`].
    pub async fn enter(&self, code: &Token, binder: &Token, edge: &Edge) -> Result<Option<Entered>, SessionError> {
        let now = self.now();
        let hash = code.hash(TokenKind::Handshake);
        if !sessions::handshake_waits(&self.0.store, &hash).await? {
            return Err(SessionError::UnknownCode);
        }
        let mut tx = self.0.store.begin().await?;
        // Another request may have been faster.
        let taken = sessions::take_handshake(&mut tx, &hash).await?.ok_or(SessionError::UnknownCode)?;
        let live = self.living(taken.session).await?;
        let (taken, live) = match judged(taken, live, binder, edge, now) {
            Ok(good) => good,
            Err(Wrong { reason, who }) => {
                let record = Record::new(Event::HandshakeRefuse, Outcome::Denied).from(edge).why(Why::reason(reason));
                let _durable = tx.commit(Facts::recorded(record.who(who))).await?;
                return Ok(None);
            }
        };
        let token = Token::generate()?;
        let kind = TokenKind::AppSession;
        let key = Key { hash: token.hash(kind), kind, host: &taken.host };
        sessions::delete_tokens_of(&mut tx, live.id(), kind, &taken.host, now.before(OVERLAP)).await?;
        sessions::insert_token(&mut tx, live.id(), &key.hash, kind, &taken.host, now).await?;
        let record = about(Event::HandshakeEnter, live.session_hash(), live.who(), By::Holder(edge));
        let _durable = tx.commit(Facts::recorded(record)).await?;
        // Locked or ended while this was written: its tokens are gone, this one too.
        if live.state(now) == SessionState::Active {
            self.0.registry.install(&live, Some(key));
        }
        let target = Target::parse(&taken.target).unwrap_or_else(|_| Target::root());
        Ok(Some(Entered { live, token, target }))
    }
}

struct Wrong {
    reason: &'static str,
    who: Who,
}

fn judged(
    taken: Handshake,
    live: Option<Arc<Live>>,
    binder: &Token,
    edge: &Edge,
    now: Timestamp,
) -> Result<(Handshake, Arc<Live>), Wrong> {
    let who = live.as_ref().map_or_else(|| Who::system("handshake"), |live| live.who().clone());
    let wrong = |reason| Wrong { reason, who: who.clone() };
    if *taken.host != *edge.host {
        return Err(wrong("other-host"));
    }
    if taken.binder != place(&binder.hash(TokenKind::Binder), edge.address) {
        return Err(wrong("other-browser"));
    }
    if now >= taken.expires_at {
        return Err(wrong("too-late"));
    }
    match live {
        Some(live) if live.state(now) == SessionState::Active => Ok((taken, live)),
        _ => Err(wrong("not-active")),
    }
}

/// A browser at an address: what a code is bound to.
fn place(binder: &TokenHash, address: IpAddr) -> TokenHash {
    let mut bytes = binder.bytes().to_vec();
    match address.to_canonical() {
        IpAddr::V4(v4) => bytes.extend(v4.octets()),
        IpAddr::V6(v6) => bytes.extend(v6.octets()),
    }
    TokenHash::of(TokenKind::Binder, &bytes)
}
