//! Certificates from an authority (RFC 8555): asked for before the one in use ends, proved by a
//! certificate of our own on the relay's port (TLS-ALPN-01, RFC 8737), and kept beside the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use thiserror::Error;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::{Certificate, certified};
use crate::clock::wall_ms;
use crate::config::Acme;
use crate::store::private::{close_file, make_file};
use crate::telemetry;

/// Where certificate, key and the account at the authority lie, in the data directory.
pub(crate) const FOLDER: &str = "acme";
const CHAIN: &str = "chain.pem";
const KEY: &str = "key.pem";
const ACCOUNT: &str = "account.json";

/// A day, and how long it is waited for at most until something is looked at again.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure, and twice as long after each further one.
const AGAIN: Duration = Duration::from_secs(60);

/// Why there is no certificate from an authority.
#[derive(Debug, Error)]
pub enum AcmeError {
    /// The configuration names none.
    #[error("`domains` has to name who the certificate is for")]
    NoDomains,
    /// The operator did not agree.
    #[error(
        "an authority gives certificates to those who agree to its terms: `terms_agreed = true`"
    )]
    NotAgreed,
    /// Nobody is trusted to be an authority.
    #[error("`ca_file`, or the system's certificates of authorities: {0}")]
    Roots(String),
    /// The authority says no, or says nothing.
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    /// It wants other proofs than a relay can give.
    #[error("the authority does not take a proof by TLS (tls-alpn-01) for {0}")]
    NoChallenge(String),
    /// It did not find a proof good.
    #[error("the authority did not find the proof good: it has to reach this relay on port 443")]
    NotProved,
    /// A key or certificate can't be made.
    #[error("a proof can't be made: {0}")]
    Proof(String),
    /// A file.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// Keeps a certificate good.
#[derive(Debug)]
pub(crate) struct Keeper {
    acme: Acme,
    folder: PathBuf,
    certificate: Certificate,
}

impl Keeper {
    /// What it kept before is in use from here on.
    ///
    /// # Errors
    /// What is wrong with the configuration. That an authority can't be reached is none: the one in use
    /// may last.
    pub(crate) fn new(
        acme: &Acme,
        data: &Path,
        certificate: Certificate,
    ) -> Result<Self, AcmeError> {
        if acme.domains.is_empty() {
            return Err(AcmeError::NoDomains);
        }
        if !acme.terms_agreed {
            return Err(AcmeError::NotAgreed);
        }
        Authority::trusting(acme.ca_file.as_deref())?;
        let keeper = Self { acme: acme.clone(), folder: data.join(FOLDER), certificate };
        make_directory(&keeper.folder)?;
        if keeper.folder.join(CHAIN).exists() {
            match keeper.stored() {
                Ok(key) => keeper.certificate.put(Some(key)),
                // Another one can be had.
                Err(error) => tracing::warn!(%error, "the certificate that was kept is not good"),
            }
        }
        Ok(keeper)
    }

    /// Asks for a certificate whenever the one in use is near its end.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let mut wait = self.due_in(wall_ms() / 1_000).min(DAY);
            if wait.is_zero() {
                match self.renew().await {
                    Ok(()) => {
                        failures = 0;
                        tracing::info!(domains = self.acme.domains.len(), "a new certificate");
                        // One that is due at once, by this machine's clock, would be asked for for ever.
                        wait = AGAIN.max(self.due_in(wall_ms() / 1_000).min(DAY));
                    }
                    Err(error) => {
                        telemetry::no_certificate();
                        tracing::error!(%error, "no new certificate");
                        wait = AGAIN.saturating_mul(1 << failures).min(DAY / 2);
                        failures = (failures + 1).min(16);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// When the next certificate is to be asked for: when a third of the time of this one is left.
    fn due_in(&self, now_s: u64) -> Duration {
        let Some((from, to)) = self.certificate.lasts() else { return Duration::ZERO };
        let due = to.saturating_sub(to.saturating_sub(from) / 3);
        let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
        Duration::from_secs(u64::try_from(due.saturating_sub(now_s)).unwrap_or(0))
    }

    /// Asks for a certificate, keeps it and uses it.
    async fn renew(&self) -> Result<(), AcmeError> {
        let asked = self.ask().await;
        self.certificate.prove(BTreeMap::new());
        let (chain, key) = asked?;
        // The key first: a chain without its key is no certificate.
        self.write(KEY, key.as_bytes())?;
        self.write(CHAIN, chain.as_bytes())?;
        self.certificate.put(Some(self.stored()?));
        Ok(())
    }

    /// Chain and key, PEM.
    async fn ask(&self) -> Result<(String, String), AcmeError> {
        let account = self.account().await?;
        let names: Vec<_> = self.acme.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        self.prove(&mut order).await?;
        match order.poll_ready(&RetryPolicy::default()).await? {
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {}
            OrderStatus::Pending | OrderStatus::Invalid => return Err(AcmeError::NotProved),
        }
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&RetryPolicy::default()).await?;
        Ok((chain, key))
    }

    /// Shows the authority that all names are this relay's.
    async fn prove(&self, order: &mut Order) -> Result<(), AcmeError> {
        let mut proofs = BTreeMap::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(AcmeError::NotProved),
            }
            let name = authorization.identifier().to_string();
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let mut challenge = challenge.ok_or_else(|| AcmeError::NoChallenge(name.clone()))?;
            let proof = proof(&name, challenge.key_authorization().digest().as_ref())?;
            proofs.insert(name, proof);
            // It may look at once.
            self.certificate.prove(proofs.clone());
            challenge.set_ready().await?;
        }
        Ok(())
    }

    /// The account at the authority: the one that was made before, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let authority = || {
            let authority = Authority::trusting(self.acme.ca_file.as_deref());
            authority.map(|authority| Account::builder_with_http(Box::new(authority)))
        };
        let path = self.folder.join(ACCOUNT);
        // Accounts are of one authority.
        let known = std::fs::read(&path).ok().and_then(|file| serde_json::from_slice(&file).ok());
        if let Some(Known { directory, credentials }) = known
            && directory == self.acme.directory
        {
            return Ok(authority()?.from_credentials(credentials).await?);
        }
        let contact: Vec<_> = self.acme.contact.iter().map(|one| mail(one)).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.acme.terms_agreed,
            only_return_existing: false,
        };
        let directory = self.acme.directory.clone();
        let (account, credentials) = authority()?.create(&wanted, directory.clone(), None).await?;
        let known = serde_json::to_vec(&Known { directory, credentials });
        let known = known.map_err(instant_acme::Error::from)?;
        self.write(ACCOUNT, &known)?;
        Ok(account)
    }

    fn stored(&self) -> Result<Arc<CertifiedKey>, AcmeError> {
        let key = certified(&self.folder.join(CHAIN), &self.folder.join(KEY));
        key.map_err(|(path, cause)| AcmeError::File { path, cause })
    }

    /// Puts a file in place at once, for its owner alone.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), AcmeError> {
        let (path, new) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let written = || {
            let _ = std::fs::remove_file(&new);
            make_file(&new)?;
            std::fs::write(&new, bytes)?;
            std::fs::File::open(&new)?.sync_all()?;
            std::fs::rename(&new, &path)?;
            close_file(&path)
        };
        written().map_err(|error| AcmeError::File { path: path.clone(), cause: error.to_string() })
    }
}

/// An account at an authority, as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Known {
    directory: String,
    credentials: AccountCredentials,
}

/// A contact as authorities have it.
fn mail(contact: &str) -> String {
    if contact.contains(':') { contact.to_owned() } else { format!("mailto:{contact}") }
}

/// The certificate by which a name is proved (RFC 8737, section 3).
fn proof(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let failed = |error: &dyn std::fmt::Display| AcmeError::Proof(error.to_string());
    if digest.len() != 32 {
        return Err(failed(&"what is to be proved is no hash"));
    }
    let mut params =
        CertificateParams::new(vec![name.to_owned()]).map_err(|error| failed(&error))?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let made = params.self_signed(&key).map_err(|error| failed(&error))?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = any_supported_type(&private).map_err(|error| failed(&error))?;
    Ok(Arc::new(CertifiedKey::new(vec![made.der().clone()], signing)))
}

fn make_directory(folder: &Path) -> Result<(), AcmeError> {
    let made = || {
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
        }
        #[cfg(not(unix))]
        std::fs::create_dir_all(folder)
    };
    made().map_err(|error| AcmeError::File { path: folder.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_asked_for_when_a_third_of_its_time_is_left() {
        let config = crate::config::Config {
            acme: Some(Acme {
                domains: vec!["relay.example".to_owned()],
                terms_agreed: true,
                contact: Vec::new(),
                directory: "https://localhost/directory".to_owned(),
                ca_file: None,
            }),
            ..crate::config::Config::default()
        };
        let certificate = Certificate::load(&config).unwrap().unwrap();
        let acme = config.acme.unwrap();
        let (folder, certificate) = (PathBuf::from("nowhere"), certificate);
        let keeper = Keeper { acme, folder, certificate };
        assert_eq!(keeper.due_in(0), Duration::ZERO, "there is none");
        let mut params = CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = any_supported_type(&private).unwrap();
        let made = Arc::new(CertifiedKey::new(vec![made.der().clone()], signing));
        keeper.certificate.put(Some(made));
        // The first of March, of ninety days from the first of January.
        let (begins, due) = (1_767_225_600, 1_772_409_600);
        assert_eq!(keeper.due_in(begins), Duration::from_secs(due - begins));
        assert_eq!(keeper.due_in(due - 1), Duration::from_secs(1));
        for late in [due, due + 1_000_000_000] {
            assert_eq!(keeper.due_in(late), Duration::ZERO);
        }
    }

    #[test]
    fn a_contact_is_a_mail_address_unless_it_says_otherwise() {
        assert_eq!(mail("ops@relay.example"), "mailto:ops@relay.example");
        assert_eq!(mail("mailto:ops@relay.example"), "mailto:ops@relay.example");
    }
}
