//! The relay as a Debian package: where its files lie, and what is said of it.

use std::env;

use super::archive::{Entry, ar, gzip, tar};
use crate::failure::Failure;

/// The archive that it is made of, and it.
pub(super) const NAME: &str = "rejoinder-relay";
/// What an operator may change, and an update leaves alone.
const SETTINGS: &str = "etc/rejoinder/relay.toml";
/// Where the units that go along look for the program, and where this package lays it.
const MOVED: (&str, &str) = ("/usr/local/bin/", "/usr/bin/");
/// The service manager reads its units anew. It starts nothing: an operator sets the relay up first.
const AFTERWARDS: &str =
    "#!/bin/sh\nset -e\nif [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n";

/// The package's name as a file, and its bytes.
///
/// # Errors
/// Those of `gzip`.
pub(super) fn package(
    contents: &[Entry],
    version: &str,
    time: u64,
) -> Result<(String, Vec<u8>), Failure> {
    let mut data: Vec<Entry> = Vec::new();
    for entry in contents {
        data.extend(laid(entry)?);
    }
    let size: usize = data.iter().map(|entry| entry.bytes.len()).sum();
    let control = [
        Entry::file("./control".to_owned(), control(version, size).into_bytes()),
        Entry::file("./conffiles".to_owned(), format!("/{SETTINGS}\n").into_bytes()),
        Entry::program("./postinst".to_owned(), AFTERWARDS.as_bytes().to_vec()),
        Entry::program("./postrm".to_owned(), AFTERWARDS.as_bytes().to_vec()),
    ];
    let members = [
        Entry::file("debian-binary".to_owned(), b"2.0\n".to_vec()),
        Entry::file("control.tar.gz".to_owned(), gzip(&tar(control.into_iter(), time))?),
        Entry::file("data.tar.gz".to_owned(), gzip(&tar(data.into_iter(), time))?),
    ];
    Ok((format!("{NAME}_{version}_{}.deb", machine()), ar(&members, time)))
}

/// Where a file of the archive lies on a Debian system; `None` if it has no place there.
fn laid(entry: &Entry) -> Result<Option<Entry>, Failure> {
    let Entry { path, mode, bytes } = entry.clone();
    let (path, bytes) = if let Some(page) = path.strip_prefix("share/man/") {
        (format!("usr/share/man/{page}.gz"), gzip(&bytes)?)
    } else if let Some(place) = path.strip_suffix(".bash") {
        // Bash looks for the bare name.
        (format!("usr/{place}"), bytes)
    } else if path.starts_with("share/") || path.starts_with("bin/") {
        (format!("usr/{path}"), bytes)
    } else if path.ends_with(".service") || path.ends_with(".timer") {
        let unit = String::from_utf8_lossy(&bytes).replace(MOVED.0, MOVED.1);
        (format!("usr/lib/systemd/system/{path}"), unit.into_bytes())
    } else if path == "relay.toml" {
        (SETTINGS.to_owned(), bytes)
    } else if path == "LICENSE-APACHE" {
        return Ok(None);
    } else if path == "LICENSE-MIT" {
        (format!("usr/share/doc/{NAME}/copyright"), copyright(&bytes))
    } else {
        (format!("usr/share/doc/{NAME}/{path}"), bytes)
    };
    Ok(Some(Entry { path: format!("./{path}"), mode, bytes }))
}

/// Debian has the Apache licence in a place of its own.
fn copyright(mit: &[u8]) -> Vec<u8> {
    let mut text = b"Rejoinder's relay is licensed, as you choose, under the Apache License 2.0\n\
        (/usr/share/common-licenses/Apache-2.0) or under this one:\n\n"
        .to_vec();
    text.extend_from_slice(mit);
    text
}

fn control(version: &str, size: usize) -> String {
    format!(
        "Package: {NAME}\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: The Rejoinder authors <rejoinder@example.org>\n\
         Installed-Size: {}\n\
         Depends: libc6, libgcc-s1\n\
         Section: net\n\
         Priority: optional\n\
         Description: relay of Rejoinder, which stores and forwards what it can't read\n \
         It keeps people's devices in step: each change is stored durably before it is\n \
         acknowledged, sealed end to end, and handed to every device that lacks it.\n",
        machine(),
        size.div_ceil(1024),
    )
}

/// Debian's word for the machine.
fn machine() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command;
    use std::process::Command;

    fn contents() -> Vec<Entry> {
        let file = |path: &str, text: &str| Entry::file(path.to_owned(), text.as_bytes().to_vec());
        vec![
            Entry::program("bin/sync-server".to_owned(), b"program".to_vec()),
            file("share/man/man1/sync-server.1", ".TH sync-server 1"),
            file("share/bash-completion/completions/sync-server.bash", "complete"),
            file("rejoinder-relay.service", "ExecStart=/usr/local/bin/sync-server run"),
            file("relay.toml", "listen = \"0.0.0.0:8787\""),
            file("LICENSE-MIT", "MIT"),
            file("LICENSE-APACHE", "Apache"),
            file("operating.md", "# Operating"),
        ]
    }

    #[test]
    fn files_lie_where_debian_looks_for_them() {
        let laid: Vec<Entry> = contents().iter().filter_map(|entry| laid(entry).unwrap()).collect();
        let paths: Vec<&str> = laid.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "./usr/bin/sync-server",
                "./usr/share/man/man1/sync-server.1.gz",
                "./usr/share/bash-completion/completions/sync-server",
                "./usr/lib/systemd/system/rejoinder-relay.service",
                "./etc/rejoinder/relay.toml",
                "./usr/share/doc/rejoinder-relay/copyright",
                "./usr/share/doc/rejoinder-relay/operating.md",
            ]
        );
        assert_eq!(laid[0].mode, 0o755);
        assert_eq!(laid[3].bytes, b"ExecStart=/usr/bin/sync-server run");
    }

    #[test]
    fn debians_own_tool_reads_the_package() {
        let (name, bytes) = package(&contents(), "1.2.3", 1_000_000_000).unwrap();
        assert_eq!(bytes, package(&contents(), "1.2.3", 1_000_000_000).unwrap().1);
        if !command::succeeds(Command::new("dpkg-deb").arg("--version")) {
            return;
        }
        let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let said = |option: &str| command::output(Command::new("dpkg-deb").arg(option).arg(&path));
        let (info, listed) = (said("--info"), said("--contents"));
        std::fs::remove_file(&path).unwrap();
        let (info, listed) = (info.unwrap(), listed.unwrap());
        assert!(info.contains("Version: 1.2.3") && info.contains("conffiles"), "{info}");
        assert!(
            listed.contains("-rwxr-xr-x root/root") && listed.contains("./usr/bin/sync-server"),
            "{listed}"
        );
    }
}
