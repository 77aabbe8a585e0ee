//! From when to when a certificate is good.

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The first and the last second of a certificate, Unix time.
pub(super) fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dates_of_a_certificate_are_found() {
        let mut params = rcgen::CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 2, 28);
        params.not_after = rcgen::date_time_ymd(2051, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        assert_eq!(of(made.der()), Some((1_772_236_800, 2_561_241_600)));
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let made = rcgen::generate_simple_self_signed(vec!["relay.example".to_owned()]).unwrap();
        let whole = made.cert.der();
        for end in 0..whole.len() {
            assert_eq!(of(&whole[..end]), None, "{end}");
        }
        for n in 0..whole.len().min(200) {
            let mut other = whole.to_vec();
            for bit in 0..8 {
                other[n] ^= 1 << bit;
                let _ = of(&other);
            }
        }
    }
}
