//! `#[derive(Decode)]` for structures that minicbor's `Encode` writes, with the same attributes.
//!
//! minicbor's own derive writes out, for each field, how it is read, what follows when it can't be, and all
//! of it twice: a tenth of what a browser loads. Here a structure is a list of calls into
//! `sync_protocol::codec::Fields`, which finds the fields first and reads each where it lies.

mod attributes;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, Variant};

use attributes::{Field, Shape};

/// Reads what `minicbor::Encode` writes of the same type with the same attributes.
///
/// `#[n(N)]` numbers fields and variants, below 64 each. `#[cbor(map)]` says that fields are a map's and not an
/// array's, `#[cbor(index_only)]` that an enum is its number alone, `#[cbor(transparent)]` that a
/// structure is its only field. Of fields, `#[cbor(n(N), default)]` may be missing, `with =
/// "minicbor::bytes"` are byte strings, and `#[cbor(skip)]` are not there.
#[proc_macro_derive(Decode, attributes(n, cbor))]
pub fn derive_decode(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    decode(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn decode(input: &DeriveInput) -> syn::Result<TokenStream> {
    let shape = Shape::of(&input.attrs)?;
    let name = &input.ident;
    let body = match &input.data {
        Data::Struct(data) if shape.transparent => transparent(&data.fields)?,
        Data::Struct(data) => structure(name, &data.fields, &shape)?,
        Data::Enum(data) => variants(name, data.variants.iter().collect(), &shape)?,
        Data::Union(_) => return Err(Error::new_spanned(name, "unions are not read")),
    };
    let (_, types, condition) = input.generics.split_for_impl();
    let parameters = &input.generics.params;
    Ok(quote! {
        #[automatically_derived]
        impl<'bytes, Ctx, #parameters> ::sync_protocol::codec::Decode<'bytes, Ctx> for #name #types #condition {
            fn decode(
                d: &mut ::sync_protocol::codec::Decoder<'bytes>,
                ctx: &mut Ctx,
            ) -> ::core::result::Result<Self, ::sync_protocol::codec::DecodeError> {
                #body
            }
        }
    })
}

/// A structure that is its only field.
fn transparent(fields: &Fields) -> syn::Result<TokenStream> {
    let mut each = fields.iter();
    let (Some(field), None, Fields::Unnamed(_)) = (each.next(), each.next(), fields) else {
        return Err(Error::new_spanned(fields, "only a tuple of one field is transparent"));
    };
    let read = match Field::inner(field)?.bytes {
        true => quote!(::sync_protocol::codec::decode_bytes(d, ctx)),
        false => quote!(::sync_protocol::codec::Decode::decode(d, ctx)),
    };
    Ok(quote!(#read.map(Self)))
}

fn structure(name: &Ident, fields: &Fields, shape: &Shape) -> syn::Result<TokenStream> {
    let map = shape.map;
    let value = taken(&quote!(#name), fields)?;
    Ok(quote! {
        let mut fields = ::sync_protocol::codec::Fields::new();
        fields.find(d, #map);
        let value = #value;
        fields.finish(value)
    })
}

fn variants(name: &Ident, variants: Vec<&Variant>, shape: &Shape) -> syn::Result<TokenStream> {
    let map = shape.map;
    let mut arms = Vec::new();
    for variant in variants {
        let (number, path) = (Field::number(&variant.attrs, variant)?, &variant.ident);
        arms.push(match &variant.fields {
            Fields::Unit if shape.index_only => quote!(#number => Some(#name::#path),),
            Fields::Unit => quote!(#number => { fields.pass(d); Some(#name::#path) }),
            fields => {
                let value = taken(&quote!(#name::#path), fields)?;
                quote!(#number => { fields.find(d, #map); #value })
            }
        });
    }
    let index_only = shape.index_only;
    Ok(quote! {
        let mut fields = ::sync_protocol::codec::Fields::new();
        let value = match fields.variant(d, #index_only) {
            #(#arms)*
            _ => { fields.unknown(); None }
        };
        fields.finish(value)
    })
}

/// An expression: all fields of `path`, or `None` when one of them can't be had.
fn taken(path: &TokenStream, fields: &Fields) -> syn::Result<TokenStream> {
    let mut each = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        let known = Field::of(field)?;
        let number = known.number;
        let value = if known.skip {
            quote!(::core::default::Default::default())
        } else {
            let take = match (known.bytes, known.default) {
                (false, false) => quote!(take),
                (false, true) => quote!(take_or_default),
                (true, false) => quote!(take_bytes),
                (true, true) => quote!(take_bytes_or_default),
            };
            quote!(match fields.#take(#number, ctx) { Some(value) => value, None => break 'read None })
        };
        let name = match &field.ident {
            Some(name) => quote!(#name),
            None => {
                let place = syn::Index::from(place);
                quote!(#place)
            }
        };
        each.push(quote!(#name: #value));
    }
    Ok(quote!('read: { Some(#path { #(#each,)* }) }))
}
