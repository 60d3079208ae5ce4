//! Messages as short text for people: `Vote { term: 3 }`, as a derived `Debug` shows them, made by
//! way of serde, which every message has anyway. What does not fit is cut off: `Batch([1, 2, ...`.

use std::fmt::{self, Display, Write};

use serde::ser::{self, Serialize};

mod parts;

use parts::{Close, Parts};

/// What is left out, as it is shown.
const CUT: &str = "...";

/// `value` as text of at most `limit` characters.
///
/// ```
/// #[derive(serde::Serialize)]
/// enum Word { Vote { term: u64 }, Batch(Vec<u8>) }
///
/// assert_eq!(dx_agents::text::of(&Word::Vote { term: 3 }, 40), "Vote { term: 3 }");
/// assert_eq!(dx_agents::text::of(&Word::Batch(vec![7; 100]), 20), "Batch([7, 7, 7, 7...");
/// ```
#[must_use]
pub fn of<T: Serialize + ?Sized>(value: &T, limit: usize) -> String {
    let mut text = Text { out: String::new(), left: limit };
    match value.serialize(&mut text) {
        Ok(()) => {}
        Err(Stop::Full) => {
            let keep = limit.saturating_sub(CUT.len());
            let end = text.out.char_indices().nth(keep).map_or(text.out.len(), |(at, _)| at);
            text.out.truncate(end);
            text.out.push_str(CUT);
        }
        Err(Stop::Refused(why)) => {
            let _ = write!(text.out, "<{why}>");
        }
    }
    text.out
}

/// The text so far, and the characters that there is room for.
struct Text {
    out: String,
    left: usize,
}

/// Why a value is not written to its end.
#[derive(Debug)]
enum Stop {
    Full,
    /// Its `Serialize` fails, so.
    Refused(String),
}

impl Text {
    fn put(&mut self, text: impl Display) -> Result<(), Stop> {
        write!(self, "{text}").map_err(|fmt::Error| Stop::Full)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.out.push(char);
        }
        Ok(())
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("there is no room"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: Display>(why: T) -> Self {
        Self::Refused(why.to_string())
    }
}

macro_rules! put {
    ($($name:ident $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<(), Stop> { self.put(format_args!("{value:?}")) })*
    };
}

impl<'a> ser::Serializer for &'a mut Text {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    put!(serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32);
    put!(serialize_i64 i64, serialize_i128 i128, serialize_u8 u8, serialize_u16 u16);
    put!(serialize_u32 u32, serialize_u64 u64, serialize_u128 u128, serialize_f32 f32);
    put!(serialize_f64 f64);

    fn serialize_char(self, value: char) -> Result<(), Stop> {
        self.put(format_args!("{value:?}"))
    }

    fn serialize_str(self, value: &str) -> Result<(), Stop> {
        self.put(format_args!("{value:?}"))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Stop> {
        self.put("0x")?;
        value.iter().try_for_each(|byte| self.put(format_args!("{byte:02x}")))
    }

    fn serialize_none(self) -> Result<(), Stop> {
        self.put("None")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        self.serialize_newtype_struct("Some", value)
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        self.put("()")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Stop> {
        self.put(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, of: &'static str) -> Result<(), Stop> {
        self.put(of)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.put(name)?;
        self.put("(")?;
        value.serialize(&mut *self)?;
        self.put(")")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.serialize_newtype_struct(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Stop> {
        Parts::open(self, "", "[", Close("]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Stop> {
        Parts::open(self, "", "(", Close(")"))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, Stop> {
        Parts::open(self, name, "(", Close(")"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Stop> {
        Parts::open(self, variant, "(", Close(")"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Stop> {
        Parts::open(self, "", "{", Close("}"))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, Stop> {
        Parts::open(self, name, " { ", Close(" }"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Stop> {
        Parts::open(self, variant, " { ", Close(" }"))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Stop> {
        self.put(value)
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::of;

    #[derive(Debug, Serialize)]
    enum Word {
        Plain,
        One(u64),
        Two(u8, char),
        Named { term: u64, name: Option<String> },
        Nested(Box<Word>),
    }

    #[derive(Debug, Serialize)]
    struct Unit;

    #[derive(Debug, Serialize)]
    struct Pair(i8, f64);

    #[test]
    fn it_is_what_a_derived_debug_shows() {
        let words = [
            Word::Plain,
            Word::One(7),
            Word::Two(1, '\n'),
            Word::Named { term: 3, name: None },
            Word::Nested(Box::new(Word::Named { term: 3, name: Some("a \"b\"".into()) })),
        ];
        for word in words {
            assert_eq!(of(&word, 200), format!("{word:?}"));
        }
        assert_eq!(of(&Unit, 10), "Unit");
        assert_eq!(of(&(Pair(-1, 0.5), vec![true], ()), 80), "(Pair(-1, 0.5), [true], ())");
        let map = BTreeMap::from([("x", 1), ("y", 2)]);
        assert_eq!(of(&map, 80), format!("{map:?}"));
    }

    #[test]
    fn what_is_too_long_is_cut_to_the_limit() {
        let long = Word::Nested(Box::new(Word::Named { term: 3, name: Some("ä".repeat(100)) }));
        let whole = of(&long, 1000);
        assert_eq!(of(&long, whole.chars().count()), whole, "what just fits is whole");
        for limit in 3..whole.chars().count() {
            let cut = of(&long, limit);
            assert_eq!(cut.chars().count(), limit);
            assert!(whole.starts_with(cut.strip_suffix("...").unwrap()));
        }
        assert_eq!(of(&long, 0), "...", "that something was cut is always said");
    }

    #[test]
    fn a_value_that_refuses_to_be_written_says_why() {
        struct Odd;
        impl Serialize for Odd {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("an odd one"))
            }
        }
        assert_eq!(of(&Some(Odd), 40), "Some(<an odd one>");
    }
}
