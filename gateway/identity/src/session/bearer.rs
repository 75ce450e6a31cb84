//! Tokens of `sekimorictl`: a code that the person copies from the portal becomes a bearer token.

use std::time::Duration;

use audit::{Event, Outcome, Record, Who, Why};
use model::{Edge, SessionState, Timestamp, Token, TokenKind};
use store::sessions::{self, CliToken};
use store::{Facts, Unrecorded};

use super::{Bearer, By, Live, SessionError, Sessions, about};
use crate::rules::CODE_LIFE;

const BEARER_LIFE: Duration = Duration::from_secs(8 * 3_600);

impl Sessions {
    /// The code that `sekimorictl login` asks for: 256 bits, 10 min, once. It carries the session's last
    /// proof at AAL2.
    ///
    /// # Errors
    /// [`SessionError::State`] unless the session is active, [`SessionError::Store`].
    pub async fn cli_code(&self, live: &Live) -> Result<Token, SessionError> {
        let now = self.now();
        if live.state(now) != SessionState::Active {
            return Err(SessionError::State);
        }
        let code = Token::generate()?;
        let row = CliToken {
            session: live.id(),
            authenticated_at: live.authenticated_at(),
            expires_at: now.after(CODE_LIFE),
        };
        let mut tx = self.0.store.begin().await?;
        sessions::insert_cli_code(&mut tx, &code.hash(TokenKind::CliCode), &row).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(code)
    }

    /// Redeems a code: a bearer token, good for eight hours and not beyond the session's end.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub async fn cli_login(&self, code: &Token, edge: &Edge) -> Result<Option<(Token, Bearer)>, SessionError> {
        let mut tx = self.0.store.begin().await?;
        let now = self.now();
        let taken = sessions::take_cli_code(&mut tx, &code.hash(TokenKind::CliCode)).await?;
        let good = taken.filter(|taken| now < taken.expires_at);
        let live = match good {
            Some(taken) => self.living(taken.session).await?,
            None => None,
        };
        let (Some(taken), Some(live)) = (good, live) else {
            let record = Record::new(Event::CliLogin, Outcome::Failed).who(Who::system("cli")).from(edge);
            let _durable = tx.commit(Facts::recorded(record.why(Why::reason("code")))).await?;
            return Ok(None);
        };
        let token = Token::generate()?;
        let row = CliToken { expires_at: now.after(BEARER_LIFE).min(live.absolute_until()), ..taken };
        sessions::insert_cli_bearer(&mut tx, &token.hash(TokenKind::CliBearer), &row).await?;
        let record = about(Event::CliLogin, live.session_hash(), live.who(), By::Holder(edge));
        let expires = row.expires_at.to_string();
        tx.commit(Facts::recorded(record.detail("expires", &expires))).await?.journaled().await?;
        let bearer = Bearer { live, authenticated_at: row.authenticated_at, expires_at: row.expires_at };
        Ok(Some((token, bearer)))
    }

    /// Who a bearer token speaks for, while its session has not ended. It counts as no human act.
    ///
    /// # Errors
    /// [`SessionError::Busy`], [`SessionError::Store`].
    pub async fn bearer(&self, token: &Token) -> Result<Option<Bearer>, SessionError> {
        let row = sessions::cli_bearer(&self.0.store, &token.hash(TokenKind::CliBearer)).await?;
        let now: Timestamp = self.now();
        let Some(row) = row.filter(|row| now < row.expires_at) else { return Ok(None) };
        let live = self.living(row.session).await?;
        Ok(live.map(|live| Bearer { live, authenticated_at: row.authenticated_at, expires_at: row.expires_at }))
    }
}
