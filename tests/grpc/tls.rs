//! TLS: with a certificate nothing else is spoken, and the binary can ask how it is whatever the
//! certificate says.

use proto::v1;
use proto::v1::node_server_manage_client::NodeServerManageClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sqlx::PgPool;
use telecom_grpc::{GrpcConfig, TlsFiles, health};
use telecom_tests::World;
use telecom_tests::grpc::{GrpcServer, config};
use telecom_tests::token::Issuer;
use tempfile::TempDir;
use tonic::Request;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

const NAME: &str = "grpc.internal.test";

/// A certificate for [`NAME`] in files, alone, and who vouches for it.
struct Certified {
    folder: TempDir,
    authority: String,
}

impl Certified {
    fn new(certificate: &str, key: &KeyPair, authority: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, authority }
    }

    fn by_itself() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        Self::new(&certificate, &key, certificate.clone())
    }

    fn by_an_authority() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        Self::new(&certificate.pem(), &key, authority.pem())
    }

    fn files(&self) -> TlsFiles {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| self.folder.path().join(name));
        TlsFiles { certificate, key }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_binary_can_ask_how_it_is_whatever_its_certificate_is_called_and_whoever_vouches_for_it(
    pool: PgPool,
) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let stranger = Certified::by_itself();
    for certified in [Certified::by_itself(), Certified::by_an_authority()] {
        let tls = Some(certified.files());
        let mut server = GrpcServer::start(
            &world,
            &issuer,
            GrpcConfig {
                tls: tls.clone(),
                ..config()
            },
        )
        .await;
        let asked = GrpcConfig {
            address: server.address,
            tls,
            ..config()
        };
        assert!(health::ask(&asked).await);
        assert!(
            !health::ask(&GrpcConfig {
                tls: None,
                ..asked.clone()
            })
            .await,
            "nothing is said without TLS"
        );
        assert!(
            !health::ask(&GrpcConfig {
                tls: Some(stranger.files()),
                ..asked.clone()
            })
            .await,
            "nor to another's"
        );
        server.stop();
        server.stopped().await;
        assert!(!health::ask(&asked).await);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_client_that_verifies_the_certificate_calls_over_tls(pool: PgPool) {
    let (world, issuer, certified) = (
        World::new(pool).await,
        Issuer::default(),
        Certified::by_an_authority(),
    );
    let server = GrpcServer::start(
        &world,
        &issuer,
        GrpcConfig {
            tls: Some(certified.files()),
            ..config()
        },
    )
    .await;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&certified.authority))
        .domain_name(NAME);
    let endpoint = Channel::from_shared(format!("https://{}", server.address))
        .unwrap()
        .tls_config(tls)
        .unwrap();
    let mut request = Request::new(v1::ListNodeServersRequest::default());
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", issuer.admin()).parse().unwrap(),
    );
    let answer = NodeServerManageClient::new(endpoint.connect().await.unwrap())
        .list_node_servers(request)
        .await;
    assert_eq!(answer.unwrap().into_inner().total, 1);
    assert!(
        Channel::from_shared(format!("https://{}", server.address))
            .unwrap()
            .connect()
            .await
            .is_err()
    );
}
