//! What the fuzz targets of all crates share: each takes this file in as a module of its own.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use minicbor::{Decode, Encode};

/// Something to throw bytes at, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Goes through all inputs that are kept of some targets: what once failed, and the corpora.
#[cfg(not(target_family = "wasm"))]
pub fn replay(targets: &[Target]) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, run) in targets {
        let mut count = 0;
        for kept in ["regressions", "corpus"] {
            let Ok(files) = std::fs::read_dir(root.join(kept).join(name)) else { continue };
            let mut files: Vec<_> = files.map(|file| file.expect("is listed").path()).collect();
            files.sort();
            for file in files {
                eprintln!("{}", file.display());
                run(&std::fs::read(&file).expect("is there"));
                count += 1;
            }
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

/// A target of which no two runs make the same seeds: a record of an MLS group is not written alike.
#[cfg(not(target_family = "wasm"))]
const VARIES: &str = "rows";

/// What a target begins with: its corpus holds these inputs and no other, each under the beginning of
/// its hash. With `REJOINDER_WRITE_SEEDS` the corpus is written, else it is compared.
#[cfg(not(target_family = "wasm"))]
pub fn seeds(target: &str, inputs: impl IntoIterator<Item = Vec<u8>>) {
    use std::collections::{BTreeMap, BTreeSet};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let folder = folder.join(target);
    let seeds: BTreeMap<String, Vec<u8>> =
        inputs.into_iter().map(|input| (seed_name(&input), input)).collect();
    std::fs::create_dir_all(&folder).expect("there is room");
    let kept = std::fs::read_dir(&folder).expect("is there");
    let kept = kept.map(|file| file.expect("is listed").file_name().to_string_lossy().into_owned());
    let kept: BTreeSet<String> = kept.collect();
    if std::env::var_os("REJOINDER_WRITE_SEEDS").is_some() {
        for old in kept.iter().filter(|name| !seeds.contains_key(*name)) {
            std::fs::remove_file(folder.join(old)).expect("is there");
        }
        for (name, input) in seeds {
            std::fs::write(folder.join(name), input).expect("there is room");
        }
        return;
    }
    if target == VARIES {
        assert_eq!(
            kept.len(),
            seeds.len(),
            "write fuzz/corpus/{target} anew: REJOINDER_WRITE_SEEDS=1"
        );
        return;
    }
    let is_kept = |(name, input): &(&String, &Vec<u8>)| {
        std::fs::read(folder.join(name)).is_ok_and(|there| there == **input)
    };
    let missing: Vec<_> =
        seeds.iter().filter(|seed| !is_kept(seed)).map(|(name, _)| name).collect();
    let others: Vec<_> = kept.iter().filter(|name| !seeds.contains_key(*name)).collect();
    assert!(
        missing.is_empty() && others.is_empty(),
        "fuzz/corpus/{target} lacks {missing:?} of its seeds and has {others:?} beside. Write it anew: \
         REJOINDER_WRITE_SEEDS=1 cargo test kept. What a fuzzer found is kept in fuzz/regressions"
    );
}

#[cfg(not(target_family = "wasm"))]
fn seed_name(input: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in sha2::Sha256::digest(input).iter().take(8) {
        write!(name, "{byte:02x}").expect("a string takes all");
    }
    name
}

/// What reads encodes to what reads as the same.
pub fn reads_again<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> Option<T> {
    let value: T = whole(bytes)?;
    let once = minicbor::to_vec(&value).expect("a vector takes all");
    let again: T = whole(&once).expect("reads what it wrote");
    assert_eq!(minicbor::to_vec(&again).expect("a vector takes all"), once, "one spelling");
    Some(value)
}

/// What reads in the one spelling of a value: `None` in any other.
pub fn reads_exactly<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> Option<T> {
    let value: T = reads_again(bytes)?;
    (minicbor::to_vec(&value).expect("a vector takes all") == bytes).then_some(value)
}

fn whole<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(value)
}

/// Choices out of a fuzzer's bytes. Zero once they are used up.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left to choose from.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// One of so many, at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Bytes led by their length, at most 65,535.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(u16::from_le_bytes([self.byte(), self.byte()]));
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
