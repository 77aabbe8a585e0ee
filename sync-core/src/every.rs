//! Lists of which nothing can be missing, for tests that go over all kinds of something.

/// Makes a list with an example, or several, of each kind of an enum. A kind that is not listed does
/// not compile, and an example of another kind fails the test.
macro_rules! every {
    ($of:ty; $($kind:pat => [$($example:expr),+ $(,)?],)*) => {{
        let is_listed = |it: &$of| match it {
            $($kind => {})*
        };
        let mut all: Vec<$of> = Vec::new();
        $({
            for example in [$($example),+] {
                is_listed(&example);
                assert!(matches!(&example, $kind), "{example:?} is no {}", stringify!($kind));
                all.push(example);
            }
        })*
        all
    }};
}
