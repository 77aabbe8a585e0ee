//! What stands in `#[n(..)]` and `#[cbor(..)]`.

use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, LitInt, LitStr};

/// Fields and variants have numbers below this one.
const NUMBERS: usize = 64;

/// How a type is written.
#[derive(Default)]
pub(crate) struct Shape {
    /// Its fields are those of a map, not of an array.
    pub(crate) map: bool,
    /// It is an enum, and its number is all of it.
    pub(crate) index_only: bool,
    /// It is its only field.
    pub(crate) transparent: bool,
}

impl Shape {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut shape = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cbor")) {
            attribute.parse_nested_meta(|meta| {
                let known = [
                    ("map", &mut shape.map),
                    ("index_only", &mut shape.index_only),
                    ("transparent", &mut shape.transparent),
                ];
                let said = known.into_iter().find(|(name, _)| meta.path.is_ident(name));
                let (_, said) = said.ok_or_else(|| unknown(&meta))?;
                *said = true;
                Ok(())
            })?;
        }
        Ok(shape)
    }
}

/// How a field is written.
#[derive(Default)]
pub(crate) struct Field {
    /// Its key or place.
    pub(crate) number: usize,
    /// It is a byte string.
    pub(crate) bytes: bool,
    /// It may be missing.
    pub(crate) default: bool,
    /// It is not there.
    pub(crate) skip: bool,
}

impl Field {
    /// A field with a number, unless it is skipped.
    pub(crate) fn of(field: &syn::Field) -> syn::Result<Self> {
        let mut known = Self::inner(field)?;
        if !known.skip {
            known.number = Self::number(&field.attrs, field)?;
        }
        Ok(known)
    }

    /// A field that needs no number.
    pub(crate) fn inner(field: &syn::Field) -> syn::Result<Self> {
        let mut known = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("cbor")) {
            attribute.parse_nested_meta(|meta| known.note(&meta))?;
        }
        Ok(known)
    }

    fn note(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("n") {
            number(meta)?;
        } else if meta.path.is_ident("default") {
            self.default = true;
        } else if meta.path.is_ident("skip") {
            self.skip = true;
        } else if meta.path.is_ident("with") {
            let path: LitStr = meta.value()?.parse()?;
            if path.value() != "minicbor::bytes" {
                return Err(Error::new_spanned(path, "only `minicbor::bytes` is known"));
            }
            self.bytes = true;
        } else {
            return Err(unknown(meta));
        }
        Ok(())
    }

    /// The number of a field or variant.
    pub(crate) fn number(attributes: &[Attribute], of: impl ToTokens) -> syn::Result<usize> {
        let mut found = None;
        for attribute in attributes {
            if attribute.path().is_ident("n") {
                found = Some(attribute.parse_args::<LitInt>()?);
            } else if attribute.path().is_ident("cbor") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("n") {
                        found = Some(number(&meta)?);
                    } else if meta.input.peek(syn::Token![=]) {
                        meta.value()?.parse::<LitStr>()?;
                    }
                    Ok(())
                })?;
            }
        }
        let found = found.ok_or_else(|| Error::new_spanned(of, "it has no number"))?;
        let number = found.base10_parse()?;
        if number >= NUMBERS {
            return Err(Error::new_spanned(found, "numbers are below 64"));
        }
        Ok(number)
    }
}

/// The number in `n(7)`.
fn number(meta: &ParseNestedMeta<'_>) -> syn::Result<LitInt> {
    let inner;
    syn::parenthesized!(inner in meta.input);
    inner.parse()
}

fn unknown(meta: &ParseNestedMeta<'_>) -> Error {
    meta.error("`sync_protocol`'s `Decode` does not know this")
}
