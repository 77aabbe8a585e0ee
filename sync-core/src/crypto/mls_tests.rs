//! Our provider against published vectors.

#![allow(clippy::unwrap_used)]

use data_encoding::HEXLOWER;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::random::OpenMlsRand as _;
use openmls_traits::types::{
    AeadType, CryptoError, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType,
    HpkeKemType, SignatureScheme,
};

use super::{Crypto, SUITE};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn config() -> HpkeConfig {
    SUITE.hpke_config()
}

/// RFC 9180 appendix A.2.1.
#[test]
fn hpke_agrees_with_rfc_9180() {
    let crypto = Crypto::without_randomness();
    let ikm = hex("1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df");
    let pair = crypto.derive_hpke_keypair(config(), &ikm).unwrap();
    let private = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let public = hex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    assert_eq!(pair.public, public);

    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let enc = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let ciphertext = hex(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
    );
    let sealed = HpkeCiphertext { kem_output: enc.clone().into(), ciphertext: ciphertext.into() };
    let opened = crypto.hpke_open(config(), &sealed, &private, &info, b"Count-0").unwrap();
    assert_eq!(opened, b"Beauty is truth, truth beauty");
    // The derived key is the vector's, clamped.
    let opened = crypto.hpke_open(config(), &sealed, &pair.private, &info, b"Count-0").unwrap();
    assert_eq!(opened, b"Beauty is truth, truth beauty");
    let other = crypto.hpke_open(config(), &sealed, &private, &info, b"Count-1");
    assert_eq!(other, Err(CryptoError::HpkeDecryptionError));

    let exported = crypto
        .hpke_setup_receiver_and_export(config(), &enc, &private, &info, b"TestContext", 32)
        .unwrap();
    let expected = "5acb09211139c43b3090489a9da433e8a30ee7188ba8b0a9a1ccf0c229283e53";
    assert_eq!(&*exported, &*hex(expected));
}

#[test]
fn what_is_sealed_opens_and_depends_on_nothing_but_its_inputs() {
    let crypto = Crypto::seeded(&[1; 32]);
    let pair = crypto.derive_hpke_keypair(config(), &[7; 32]).unwrap();
    let seal = |crypto: &Crypto, text: &[u8]| {
        crypto.hpke_seal(config(), &pair.public, b"info", b"aad", text).unwrap()
    };
    let sealed = seal(&crypto, b"one");
    seal(&crypto, b"two");
    assert_eq!(seal(&crypto, b"one"), sealed);
    assert_ne!(seal(&Crypto::seeded(&[2; 32]), b"one"), sealed);
    assert_ne!(seal(&crypto, b"two").kem_output, sealed.kem_output);
    let opened = crypto.hpke_open(config(), &sealed, &pair.private, b"info", b"aad").unwrap();
    assert_eq!(opened, b"one");
    let (enc, sent) = crypto
        .hpke_setup_sender_and_export(config(), &pair.public, b"info", b"context", 48)
        .unwrap();
    let received = crypto
        .hpke_setup_receiver_and_export(config(), &enc, &pair.private, b"info", b"context", 48)
        .unwrap();
    assert_eq!(&*sent, &*received);
}

/// RFC 5869 appendix A.1.
#[test]
fn hkdf_agrees_with_rfc_5869() {
    let crypto = Crypto::without_randomness();
    let salt = hex("000102030405060708090a0b0c");
    let prk = crypto.hkdf_extract(HashType::Sha2_256, &salt, &[0x0b; 22]).unwrap();
    let expected = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
    assert_eq!(prk.as_slice(), hex(expected));
    let info = hex("f0f1f2f3f4f5f6f7f8f9");
    let okm = crypto.hkdf_expand(HashType::Sha2_256, prk.as_slice(), &info, 42).unwrap();
    let expected =
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(okm.as_slice(), hex(expected));
}

/// RFC 8032 section 7.1, test 1.
#[test]
fn signatures_agree_with_rfc_8032() {
    let crypto = Crypto::without_randomness();
    let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let signature = crypto.sign(SignatureScheme::ED25519, b"", &secret).unwrap();
    let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(signature, hex(expected));
    let verify = |data: &[u8], public: &[u8]| {
        crypto.verify_signature(SignatureScheme::ED25519, data, public, &signature)
    };
    assert_eq!(verify(b"", &public), Ok(()));
    assert_eq!(verify(b"x", &public), Err(CryptoError::InvalidSignature));
    assert_eq!(verify(b"", &public[1..]), Err(CryptoError::InvalidPublicKey));
}

#[test]
fn a_key_that_nobody_can_use_does_not_stop_a_commit() {
    let crypto = Crypto::seeded(&[1; 32]);
    for key in [&[0u8; 32][..], &[1, 2, 3], &[]] {
        let sealed = crypto.hpke_seal(config(), key, b"", b"", b"four").unwrap();
        assert_eq!(
            (sealed.kem_output.as_slice().len(), sealed.ciphertext.as_slice().len()),
            (32, 20)
        );
        assert!(!crate::crypto::hpke::is_usable(key));
    }
}

#[test]
fn what_is_not_supported_is_said_so() {
    let crypto = Crypto::seeded(&[1; 32]);
    let hash = crypto.hash(HashType::Sha2_512, b"");
    assert_eq!(hash, Err(CryptoError::UnsupportedHashAlgorithm));
    let aead = crypto.aead_encrypt(AeadType::Aes128Gcm, &[0; 16], b"", &[0; 12], b"");
    assert_eq!(aead, Err(CryptoError::UnsupportedAeadAlgorithm));
    let scheme = SignatureScheme::ECDSA_SECP256R1_SHA256;
    assert_eq!(crypto.signature_key_gen(scheme), Err(CryptoError::UnsupportedSignatureScheme));
    let other =
        HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128);
    assert!(crypto.derive_hpke_keypair(other, &[0; 32]).is_err());
    assert_eq!(crypto.supported_ciphersuites(), [SUITE]);
}

#[test]
fn an_operation_without_randomness_draws_none() {
    let crypto = Crypto::without_randomness();
    assert!(crypto.random_array::<4>().is_err() && crypto.random_vec(4).is_err());
    let pair = crypto.derive_hpke_keypair(config(), &[7; 32]).unwrap();
    let sealed = crypto.hpke_seal(config(), &pair.public, b"", b"", b"");
    assert_eq!(sealed, Err(CryptoError::InsufficientRandomness));
}
