//! Database logins that change while a process runs: IAM tokens, and passwords kept in Secrets
//! Manager.
//!
//! Only new connections use the login, and the pool may open a connection at any time. The login is
//! therefore renewed before each invocation, and not when a connection is refused because of an
//! expired login.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client as SecretsManager;
use aws_sigv4::http_request::{
    self, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
};
use aws_sigv4::sign::v4;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use url::Url;

use crate::config::DatabaseLogin;
use crate::error::Error;

/// Lifetime of an IAM token, as defined by RDS.
const TOKEN_LIFETIME: Duration = Duration::from_mins(15);
/// Age after which a login is renewed. A token of this age outlives the longest invocation, and a
/// changed password is picked up within this time.
const RENEW_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Renews the login of a connection pool.
#[derive(Debug)]
pub struct Credentials {
    login: DatabaseLogin,
    /// Time of the last renewal. `None` if the login has not been renewed yet.
    renewed_at: Mutex<Option<DateTime<Utc>>>,
}

impl Credentials {
    /// Creates credentials for a login that has not been fetched yet.
    #[must_use]
    pub fn new(login: DatabaseLogin) -> Self {
        Self {
            login,
            renewed_at: Mutex::new(None),
        }
    }

    /// Whether the login changes and must be renewed.
    #[must_use]
    pub fn change(&self) -> bool {
        self.login != DatabaseLogin::Url
    }

    /// Gives the pool's next connections a fresh login if the current login is too old at `now`.
    pub async fn renew(
        &self,
        pool: &PgPool,
        aws: &SdkConfig,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut renewed_at = self.renewed_at.lock().await;
        if renewed_at.is_some_and(|renewed_at| (now - renewed_at).abs() < RENEW_AFTER) {
            return Ok(());
        }
        let options = pool.connect_options().as_ref().clone();
        let options = match &self.login {
            DatabaseLogin::Url => options,
            DatabaseLogin::Iam => {
                let token = sign_token(aws, &options, now).await?;
                options.password(&token)
            }
            DatabaseLogin::Secret(arn) => {
                let secret = read_secret(aws, arn).await?;
                options
                    .username(&secret.username)
                    .password(&secret.password)
            }
        };
        pool.set_connect_options(options);
        *renewed_at = Some(now);
        Ok(())
    }
}

/// Creates a token that RDS accepts as a password: the URL of a signed request to the database,
/// which is never sent.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html>
async fn sign_token(
    aws: &SdkConfig,
    options: &PgConnectOptions,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    use aws_credential_types::provider::ProvideCredentials;
    let region = aws.region().ok_or_else(|| {
        Error::internal("DATABASE_AUTH=iam needs a region: AWS_REGION is not set")
    })?;
    let provider = aws
        .credentials_provider()
        .ok_or_else(|| Error::internal("DATABASE_AUTH=iam needs credentials"))?;
    let identity = provider
        .provide_credentials()
        .await
        .map_err(Error::unavailable)?
        .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(TOKEN_LIFETIME);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("rds-db")
        .time(now.into())
        .settings(settings)
        .build()
        .map_err(Error::internal)?
        .into();
    let mut url = Url::parse(&format!(
        "https://{}:{}/",
        options.get_host(),
        options.get_port()
    ))
    .map_err(Error::internal)?;
    url.query_pairs_mut()
        .append_pair("Action", "connect")
        .append_pair("DBUser", options.get_username());
    let request = SignableRequest::new(
        "GET",
        url.as_str(),
        std::iter::empty(),
        SignableBody::Bytes(&[]),
    );
    let signed = http_request::sign(request.map_err(Error::internal)?, &parameters)
        .map_err(Error::internal)?;
    let (instructions, _) = signed.into_parts();
    for (name, value) in instructions.params() {
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url.as_str().trim_start_matches("https://").to_owned())
}

/// The required fields of a secret that RDS wrote.
#[derive(Deserialize)]
struct Secret {
    username: String,
    password: String,
}

async fn read_secret(aws: &SdkConfig, arn: &str) -> Result<Secret, Error> {
    let response = SecretsManager::new(aws)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(Error::unavailable)?;
    // The error must not contain the text of the secret.
    let secret = response
        .secret_string()
        .and_then(|text| serde_json::from_str(text).ok());
    secret.ok_or_else(|| {
        Error::internal("the secret of DATABASE_SECRET_ARN is not JSON with username and password")
    })
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials as Keys;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use rstest::rstest;

    use super::*;

    // Signatures computed by botocore with `SigV4QueryAuth(credentials, "rds-db", "eu-central-1",
    // expires=900)`.
    #[rstest]
    #[case::permanent_credentials(
        None,
        "2c0f07e2c03f47b47845287b8a803985348370de8af680bfe3b5ba0ac9cc7b77"
    )]
    #[case::session_credentials(
        Some("SESSION/+="),
        "e4ed3f4fdd006aa8b9ea4fd2f9db49c66dc7a968e764d0d34e5e7faf9dfef9e7"
    )]
    #[tokio::test]
    async fn a_token_has_the_signature_that_aws_computes(
        #[case] session: Option<&str>,
        #[case] signature: &str,
    ) {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let keys = Keys::new(
            "AKIDEXAMPLE",
            secret,
            session.map(str::to_owned),
            None,
            "test",
        );
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        let options = PgConnectOptions::new_without_pgpass()
            .host("db.example.com")
            .port(5432)
            .username("telecom_writer");
        let token = sign_token(&aws, &options, "2026-03-10T10:30:00Z".parse().unwrap())
            .await
            .unwrap();
        let expected = "db.example.com:5432/?Action=connect&DBUser=telecom_writer\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20260310%2Feu-central-1%2Frds-db%2Faws4_request\
            &X-Amz-Date=20260310T103000Z\
            &X-Amz-Expires=900&X-Amz-SignedHeaders=host";
        let session = session.map_or("", |_| "&X-Amz-Security-Token=SESSION%2F%2B%3D");
        let sorted = |token: &str| {
            let mut parameters: Vec<String> = token.split('&').map(str::to_owned).collect();
            parameters.sort();
            parameters
        };
        assert_eq!(
            sorted(&token),
            sorted(&format!("{expected}{session}&X-Amz-Signature={signature}"))
        );
    }
}
