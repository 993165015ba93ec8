//! Encryption of the secrets of webhooks. The database stores them encrypted, and the keys are
//! elsewhere.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::secret::WebhookSecret;
use crate::error::Error;

/// Minimum length of the text of a key. Keys are generated, so this only finds mistakes.
const MIN_KEY_TEXT: usize = 32;

/// The keys of a deployment by their number. The greatest number encrypts, all decrypt.
pub struct WebhookKeys(BTreeMap<u8, RandomizedNonceKey>);

impl WebhookKeys {
    /// Reads keys from a JSON object such as `{"1": "a random text"}`. The error contains no
    /// part of the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |problem: &'static str| Error::internal(format!("webhook keys: {problem}"));
        let texts: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|_| invalid("not a JSON object of texts"))?;
        let mut keys = BTreeMap::new();
        for (number, text) in texts {
            let number = number
                .parse()
                .map_err(|_| invalid("a name is not a number from 0 to 255"))?;
            if text.len() < MIN_KEY_TEXT {
                return Err(invalid("a key is shorter than 32 characters"));
            }
            let key = RandomizedNonceKey::new(&AES_256_GCM, &Sha256::digest(text.as_bytes()));
            keys.insert(number, key.map_err(|_| invalid("a key is unusable"))?);
        }
        if keys.is_empty() {
            return Err(invalid("no key"));
        }
        Ok(Self(keys))
    }

    /// Encrypts the secret of a webhook: number of the key, nonce, ciphertext, tag. Only for the
    /// same webhook can it be decrypted.
    pub fn seal(&self, webhook: Uuid, secret: &WebhookSecret) -> Result<Vec<u8>, Error> {
        let failed = || Error::internal("a webhook's secret cannot be encrypted");
        let (number, key) = self.0.last_key_value().ok_or_else(failed)?;
        let mut text = secret.as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(webhook.into_bytes()), &mut text)
            .map_err(|_| failed())?;
        Ok([&[*number], nonce.as_ref().as_slice(), &text].concat())
    }

    /// Decrypts the secret of a webhook. `None` if the key is missing, or if the bytes were changed
    /// or belong to another webhook.
    #[must_use]
    pub fn open(&self, webhook: Uuid, sealed: &[u8]) -> Option<WebhookSecret> {
        let (number, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let opened = self.0.get(number)?.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(webhook.into_bytes()),
            &mut text,
        );
        let bytes: &[u8] = opened.ok()?;
        bytes.try_into().ok().map(WebhookSecret::from_bytes)
    }
}

/// Shows no key in logs.
impl std::fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookKeys")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ONE: &str = "0123456789abcdefghijklmnopqrstuv";
    const TWO: &str = "vutsrqponmlkjihgfedcba9876543210";

    fn keys(keys: &[(u8, &str)]) -> WebhookKeys {
        let keys: BTreeMap<String, &str> =
            keys.iter().map(|(n, key)| (n.to_string(), *key)).collect();
        WebhookKeys::parse(&serde_json::to_string(&keys).unwrap()).unwrap()
    }

    #[test]
    fn a_sealed_secret_is_opened_for_its_webhook_only() {
        let (secret, webhook) = (WebhookSecret::random().unwrap(), Uuid::from_u128(1));
        let keys = keys(&[(1, ONE)]);
        let sealed = keys.seal(webhook, &secret).unwrap();
        assert_eq!(keys.open(webhook, &sealed), Some(secret.clone()));
        assert_eq!(keys.open(Uuid::from_u128(2), &sealed), None);
        assert!(
            !sealed
                .windows(8)
                .any(|part| secret.as_bytes().starts_with(part))
        );
        assert_ne!(sealed, keys.seal(webhook, &secret).unwrap());
    }

    #[test]
    fn a_changed_byte_or_a_cut_is_noticed() {
        let (secret, webhook) = (WebhookSecret::random().unwrap(), Uuid::from_u128(1));
        let keys = keys(&[(0, ONE), (1, ONE)]);
        let sealed = keys.seal(webhook, &secret).unwrap();
        for place in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(keys.open(webhook, &changed), None, "{place}");
            assert_eq!(keys.open(webhook, &sealed[..place]), None, "{place}");
        }
        assert_eq!(keys.open(webhook, &[]), None);
    }

    #[test]
    fn an_old_key_decrypts_what_it_encrypted_and_the_newest_encrypts() {
        let (secret, webhook) = (WebhookSecret::random().unwrap(), Uuid::from_u128(1));
        let old = keys(&[(1, ONE)]).seal(webhook, &secret).unwrap();
        let both = keys(&[(1, ONE), (10, TWO)]);
        assert_eq!(both.open(webhook, &old), Some(secret.clone()));
        let new = both.seal(webhook, &secret).unwrap();
        assert_eq!(keys(&[(10, TWO)]).open(webhook, &new), Some(secret));
        assert_eq!(keys(&[(1, ONE)]).open(webhook, &new), None);
        assert_eq!(keys(&[(10, TWO)]).open(webhook, &old), None);
    }

    #[rstest]
    #[case::no_json("canary0123456789abcdefghijklmnopqrstuv")]
    #[case::no_key("{}")]
    #[case::no_number(r#"{"canary":"0123456789abcdefghijklmnopqrstuv"}"#)]
    #[case::too_great(r#"{"256":"0123456789abcdefghijklmnopqrstuv"}"#)]
    #[case::too_short(r#"{"1":"canary"}"#)]
    #[case::no_text(r#"{"1":1}"#)]
    fn unusable_keys_are_refused_without_their_text(#[case] text: &str) {
        let error = WebhookKeys::parse(text).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
