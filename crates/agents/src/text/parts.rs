//! The parts of a list, map or struct, with commas between.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Stop, Text};

/// See the module.
pub(super) struct Parts<'a> {
    text: &'a mut Text,
    close: Close,
    has_any: bool,
}

/// What comes behind the last part.
#[derive(Clone, Copy)]
pub(super) struct Close(pub &'static str);

impl<'a> Parts<'a> {
    pub(super) fn open(
        text: &'a mut Text,
        name: &str,
        open: &str,
        close: Close,
    ) -> Result<Self, Stop> {
        text.put(name)?;
        text.put(open)?;
        Ok(Self { text, close, has_any: false })
    }

    fn part<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Stop> {
        self.comma()?;
        if !name.is_empty() {
            self.text.put(name)?;
            self.text.put(": ")?;
        }
        value.serialize(&mut *self.text)
    }

    fn comma(&mut self) -> Result<(), Stop> {
        if std::mem::replace(&mut self.has_any, true) { self.text.put(", ") } else { Ok(()) }
    }

    fn close(self) -> Result<(), Stop> {
        self.text.put(self.close.0)
    }
}

macro_rules! unnamed {
    ($($trait:ident $part:ident),*) => {
        $(impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Stop;

            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
                self.part("", value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close()
            }
        })*
    };
}

macro_rules! named {
    ($($trait:ident),*) => {
        $(impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Stop> {
                self.part(name, value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close()
            }
        })*
    };
}

unnamed!(SerializeSeq serialize_element, SerializeTuple serialize_element);
unnamed!(SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field);
named!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        self.part("", key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.text.put(": ")?;
        value.serialize(&mut *self.text)
    }

    fn end(self) -> Result<(), Stop> {
        self.close()
    }
}
