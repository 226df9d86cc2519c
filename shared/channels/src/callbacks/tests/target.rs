//! URLs that may be called, and those that may not.

use evenstock_app::InvalidTarget;
use evenstock_domain::Guard;
use rstest::rstest;

use crate::callbacks::Target;

const PUBLIC_ONLY: Guard = Guard { allow_private: false };

#[rstest]
#[case("https://example.com/hook")]
#[case("http://example.com")]
#[case("https://example.com:8443/hook?token=1")]
#[case("http://example.com:443/odd")]
#[case("https://8.8.8.8/hook")]
#[case("https://[2606:4700:4700::1111]/hook")]
#[case("HTTPS://EXAMPLE.COM./hook")]
fn url_of_the_public_internet_is_taken(#[case] url: &str) {
    assert!(Target::parse(url, PUBLIC_ONLY).is_ok());
}

#[rstest]
#[case::relative("/hook", InvalidTarget::NotHttp)]
#[case::nothing("", InvalidTarget::NotHttp)]
#[case::ftp("ftp://example.com/", InvalidTarget::NotHttp)]
#[case::file("file:///etc/passwd", InvalidTarget::NotHttp)]
#[case::gopher("gopher://example.com/", InvalidTarget::NotHttp)]
#[case::no_host("http://", InvalidTarget::NotHttp)]
#[case::user("https://user@example.com/", InvalidTarget::Credentials)]
#[case::password("https://user:password@example.com/", InvalidTarget::Credentials)]
#[case::host_hidden_behind_credentials("https://example.com@127.0.0.1/", InvalidTarget::Credentials)]
#[case::fragment("https://example.com/#part", InvalidTarget::Fragment)]
#[case::ssh("http://example.com:22/", InvalidTarget::Port)]
#[case::mail("http://example.com:25/", InvalidTarget::Port)]
#[case::last_system_port("http://example.com:1023/", InvalidTarget::Port)]
#[case::port_zero("http://example.com:0/", InvalidTarget::Port)]
#[case::loopback("http://127.0.0.1/", InvalidTarget::Forbidden)]
#[case::decimal("http://2130706433/", InvalidTarget::Forbidden)]
#[case::octal("http://0177.0.0.1/", InvalidTarget::Forbidden)]
#[case::hexadecimal("http://0x7f.0.0.1/", InvalidTarget::Forbidden)]
#[case::short("http://127.1/", InvalidTarget::Forbidden)]
#[case::all_in_one("http://0x7f000001/", InvalidTarget::Forbidden)]
#[case::zero("http://0/", InvalidTarget::Forbidden)]
#[case::metadata("http://169.254.169.254/latest/meta-data", InvalidTarget::Forbidden)]
#[case::metadata_decimal("http://2852039166/", InvalidTarget::Forbidden)]
#[case::full_width_digits("http://１２７.0.0.1/", InvalidTarget::Forbidden)]
#[case::loopback_v6("http://[::1]/", InvalidTarget::Forbidden)]
#[case::mapped("http://[::ffff:127.0.0.1]/", InvalidTarget::Forbidden)]
#[case::mapped_in_hex("http://[::ffff:a9fe:a9fe]/", InvalidTarget::Forbidden)]
#[case::nat64("http://[64:ff9b::a9fe:a9fe]/", InvalidTarget::Forbidden)]
#[case::loopback_with_a_trailing_dot("http://127.0.0.1./", InvalidTarget::Forbidden)]
#[case::decimal_with_a_trailing_dot("http://2130706433./", InvalidTarget::Forbidden)]
#[case::backslash_before_the_host("http://127.0.0.1\\@example.com/", InvalidTarget::Forbidden)]
#[case::escaped_digits("http://%31%32%37.0.0.1/", InvalidTarget::Forbidden)]
#[case::soft_hyphen("http://127.0.0.1\u{ad}/", InvalidTarget::Forbidden)]
#[case::ideographic_dots("http://127。0。0。1/", InvalidTarget::Forbidden)]
#[case::zone("http://[fe80::1%25eth0]/", InvalidTarget::NotHttp)]
#[case::zone_unescaped("http://[fe80::1%eth0]/", InvalidTarget::NotHttp)]
#[case::unique_local("http://[fd00::1]/", InvalidTarget::Forbidden)]
#[case::link_local("http://[fe80::1]/", InvalidTarget::Forbidden)]
fn other_urls_are_refused(#[case] url: &str, #[case] issue: InvalidTarget) {
    assert_eq!(Target::parse(url, PUBLIC_ONLY), Err(issue));
}

#[test]
fn long_url_is_refused() {
    let url = format!("https://example.com/{}", "a".repeat(2048));
    assert_eq!(Target::parse(&url, PUBLIC_ONLY), Err(InvalidTarget::TooLong));
}

#[test]
fn private_targets_open_by_configuration_and_metadata_never() {
    let open = Guard { allow_private: true };
    for url in ["http://127.0.0.1:4000/webhook", "http://192.168.1.5/", "http://[::1]:4000/"] {
        assert!(Target::parse(url, open).is_ok(), "{url}");
    }
    for url in ["http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "http://[fe80::1]/"] {
        assert_eq!(Target::parse(url, open), Err(InvalidTarget::Forbidden), "{url}");
    }
}
