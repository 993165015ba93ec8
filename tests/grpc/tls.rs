//! With a certificate the server speaks only TLS, and the binary's health check accepts exactly
//! this certificate.

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

/// Files of a certificate for [`NAME`] and its key, and the certificate of the signing authority.
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

    fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        Self::new(&certificate, &key, certificate.clone())
    }

    fn signed_by_authority() -> Self {
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
async fn the_health_check_accepts_only_the_servers_own_certificate(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let other = Certified::self_signed();
    for certified in [Certified::self_signed(), Certified::signed_by_authority()] {
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
            "the check must fail without TLS"
        );
        assert!(
            !health::ask(&GrpcConfig {
                tls: Some(other.files()),
                ..asked.clone()
            })
            .await,
            "the check must fail with another certificate"
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
        Certified::signed_by_authority(),
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
