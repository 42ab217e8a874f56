//! One constant out of the DSDT's byte code (ACPI 6.5, section 20.2).

const NAME_OP: u8 = 0x08;
const PACKAGE_OP: u8 = 0x12;
const BYTE_PREFIX: u8 = 0x0a;
const WORD_PREFIX: u8 = 0x0b;

/// SLP_TYPa in `Name (_S5_, Package () { a, b, ... })`. There is no interpreter here: the definition is found by its bytes, which
/// firmware does not vary.
pub(super) fn s5_sleep_type(code: &[u8]) -> Option<u8> {
    let at = code.windows(4).position(|name| name == b"_S5_")?;
    let before = code.get(..at)?;
    if !(before.ends_with(&[NAME_OP]) || before.ends_with(&[NAME_OP, b'\\'])) {
        return None;
    }
    let package = code.get(at + 4..)?.strip_prefix(&[PACKAGE_OP])?;
    // PkgLength: the two top bits of its first byte say how many bytes follow it. Then the number of elements.
    let length_bytes = 1 + usize::from(package.first()? >> 6);
    match package.get(length_bytes + 1..)? {
        [value @ (0 | 1), ..] | [BYTE_PREFIX | WORD_PREFIX, value, ..] => Some(*value),
        _ => None,
    }
}
