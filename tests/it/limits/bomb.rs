//! Components that are valid, and that no compiler is done with in time, or within its memory.

/// Locals of a function; 50,000 is the most there may be.
const LOCALS: u32 = 20_000;

/// One function after the other, each with very many locals that live over very many loops.
pub(super) fn slow() -> Vec<u8> {
    component(&vec![function(LOCALS, &loops(4_000)); 200])
}

/// Functions without end, each with tables of very many jumps.
pub(super) fn wide() -> Vec<u8> {
    component(&vec![function(1_000, &jumps(60, 8_000)); 80])
}

/// `count` loops in a row, each of which may go round again.
fn loops(count: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for turn in 0..count {
        let (one, other) = (turn * 7 % LOCALS, turn * 13 % LOCALS);
        body.extend([0x03, 0x40]);
        body.extend(local(0x20, one));
        body.extend(local(0x20, other));
        body.push(0x6a);
        body.extend(local(0x21, other));
        body.extend(local(0x20, one));
        body.extend([0x0d, 0x00, 0x0b]);
    }
    body
}

/// `count` tables of `width` jumps out of nested blocks.
fn jumps(count: u32, width: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..count {
        body.extend([0x02, 0x40].repeat(100));
        body.extend(local(0x20, 3));
        body.push(0x0e);
        body.extend(number(width));
        (0..=width).for_each(|jump| body.extend(number(jump * 31 % 100)));
        body.extend([0x0b].repeat(100));
    }
    body
}

/// `local.get` or `local.set`.
fn local(code: u8, index: u32) -> Vec<u8> {
    [vec![code], number(index)].concat()
}

/// A function with so many locals, all numbers, and this body.
fn function(locals: u32, body: &[u8]) -> Vec<u8> {
    sized(&[&[1][..], &number(locals), &[0x7f], body, &[0x0b]].concat())
}

/// A component that holds one core module with these functions.
fn component(functions: &[Vec<u8>]) -> Vec<u8> {
    let count = number(functions.len() as u32);
    let types = section(1, &[1, 0x60, 0, 0]);
    let declared = section(3, &[count.clone(), vec![0; functions.len()]].concat());
    let code = section(10, &[count, functions.concat()].concat());
    let module = [b"\0asm\x01\0\0\0", &types[..], &declared, &code].concat();
    [b"\0asm\x0d\0\x01\0", &section(1, &module)[..]].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], sized(content)].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [number(content.len() as u32), content.to_vec()].concat()
}

/// LEB128, as Wasm writes numbers without a sign.
fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
