#!/usr/bin/env python3
"""Writes the hand-made seeds of the fuzz targets into corpus/<target>/.

They are checked in; run this again after adding one. Seeds that a fuzzer found (found-*) are not
touched. Names that begin with an advisory's number belong to a line of the list of known
vulnerabilities of other poolers and drivers.
"""

import base64
import hashlib
import hmac
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def u8(value):
    return struct.pack("!B", value)


def u16(value):
    return struct.pack("!H", value & 0xFFFF)


def u32(value):
    return struct.pack("!I", value & 0xFFFFFFFF)


def text(value):
    return value.encode() + b"\0"


def message(kind, body=b"", length=None):
    return kind.encode() + u32(len(body) + 4 if length is None else length) + body


def packet(code, body=b"", length=None):
    return u32(len(body) + 8 if length is None else length) + u32(code) + body


V3_0, V3_2, SSL, GSS, CANCEL = 196608, 196610, 80877103, 80877104, 80877102


def startup():
    parameters = text("user") + text("me") + text("database") + text("db")
    yield "v3_0", packet(V3_0, parameters + b"\0")
    yield "v3_2", packet(V3_2, parameters + text("_pq_.x") + text("") + b"\0")
    yield "v3_9999", packet((3 << 16) + 9999, parameters + b"\0")
    yield "options", packet(V3_0, parameters + text("options") + text("-c a=b") + b"\0")
    yield "no_parameters", packet(V3_0, b"\0")
    yield "no_terminator", packet(V3_0, parameters)
    yield "name_twice", packet(V3_0, parameters + text("user") + text("you") + b"\0")
    yield "v2", packet(2 << 16, parameters + b"\0")
    yield "v4", packet(4 << 16, parameters + b"\0")
    yield "ssl_request", packet(SSL)
    yield "gss_request", packet(GSS)
    yield "unknown_request", packet((1234 << 16) + 5681)
    yield "cancel", packet(CANCEL, u32(4711) + b"abcd")
    yield "cancel_256", packet(CANCEL, u32(4711) + b"k" * 256)
    yield "cancel_257", packet(CANCEL, u32(4711) + b"k" * 257)
    yield "cancel_short", packet(CANCEL, u32(4711) + b"abc")
    yield "direct_tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield "http", b"GET / HTTP/1.1\r\n\r\n"
    yield "largest", packet(V3_0, text("user") + text("u" * 9985) + b"\0")
    yield "over_largest", packet(V3_0, text("user") + text("u" * 9986) + b"\0")
    yield "cve-2021-3935_bytes_behind_ssl_request", packet(SSL) + packet(V3_0, parameters + b"\0")
    yield "cve-2026-48773_huge_length", packet(V3_0, parameters + b"\0", 0x7FFFFFFF)
    yield "cve-2026-48773_negative_length", packet(V3_0, parameters + b"\0", 0xFFFFFFFF)
    yield "length_0", u32(0)
    yield "length_7", u32(7) + b"\0\3\0"
    yield "length_8", packet(V3_0)


def proxy_header():
    signature = b"\r\n\r\n\0\r\nQUIT\n"

    def v2(command, family, body, length=None):
        return (signature + u8(command) + u8(family) +
                u16(len(body) if length is None else length) + body)
    v4 = bytes((192, 0, 2, 1, 198, 51, 100, 1)) + u16(56324) + u16(5432)
    v6 = b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1" + b"\2" * 16 + u16(56324) + u16(5432)
    yield "tcp4", b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432\r\n" + packet(SSL)
    yield "tcp6", b"PROXY TCP6 2001:db8::1 2001:db8::2 1 0\r\n"
    yield "unknown", b"PROXY UNKNOWN ffff::1 x\r\n"
    yield "no_end", b"PROXY TCP4 " + b"1" * 96
    yield "bad_port", b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 5432\r\n"
    yield "v2_tcp4", v2(0x21, 0x11, v4) + packet(SSL)
    yield "v2_tcp6", v2(0x21, 0x21, v6)
    yield "v2_tlv", v2(0x21, 0x11, v4 + b"\x03\0\x04abcd" + b"\x20\0\xff" + b"x" * 255)
    yield "v2_local", v2(0x20, 0, b"")
    yield "v2_unix", v2(0x21, 0x31, b"u" * 216)
    yield "v2_short", v2(0x21, 0x11, v4[1:])
    yield "v2_long", v2(0x21, 0x11, v4, 0xFFFF)
    yield "v2_version_1", v2(0x11, 0x11, v4)


def options():
    yield "every_spelling", rb"-c a=b -cc=d --e-f=g -c h="
    yield "backslashes", rb"-c a=one\ two --b=c:\\d\x \-c e=f"
    yield "backslash_last", b"-c a=b\\"
    yield "backslash_alone", b"-c a=b \\"
    yield "blanks", b" \t\n\v\f\r-c\ta=b\n--c=d "
    yield "no_value", b"-c a"
    yield "no_name", b"--=b"
    yield "argument_missing", b"--a=b -c"
    yield "other_switch", b"-d 5"
    yield "two_hyphens", b"--"
    yield "search_path", rb"-c search_path=\"$user\",public -c statement_timeout=5min"


def pieces(limit, sizes, stream):
    """As framer.hpp reads its input: which limit, then the sizes of the pieces, less 1."""
    return u8(limit) + u8(len(sizes)) + bytes(sizes) + stream


def framer_frontend():
    query = message("Q", text("select 1"))
    batch = (
        message("P", text("s1") + text("select $1") + u16(1) + u32(23))
        + message("B", text("") + text("s1") + u16(0) + u16(1) + u32(1) + b"7" + u16(0))
        + message("D", b"P" + text(""))
        + message("E", text("") + u32(0))
        + message("S")
    )
    copy = message("d", b"row\n" * 30) + message("d", b"") + message("c") + message("S")
    yield "query", pieces(4, [], query + message("X"))
    yield "batch", pieces(4, [], batch)
    yield "batch_byte_by_byte", pieces(4, [0], batch)
    yield "copy", pieces(4, [9, 2], copy)
    yield "copy_fail", pieces(4, [], message("d", b"x") + message("f", text("no")) + message("S"))
    yield "password", pieces(4, [3], message("p", text("secret")))
    yield "head", pieces(2, [200], message("Q", b"x" * 3000) + message("S"))
    yield "head_limit", pieces(2, [255], message("Q", b"x" * 1019) + message("Q", b"x" * 1020))
    yield "whole_limit", pieces(3, [255], message("Q", b"x" * 1995) + message("Q", b"x" * 1996))
    yield "largest", pieces(2, [255], message("Q", b"x" * 1100, 0x3FFFFFFE))
    yield "over_largest", pieces(2, [], query + message("Q", b"x" * 10, 0x3FFFFFFF))
    yield "small_over_limit", pieces(4, [], query + message("C", b"S", 10001))
    yield "function_call", pieces(4, [], message("F", u32(1) + u16(0) + u16(0) + u16(0)))
    yield "unknown_type", pieces(4, [5], query + message("!", b"abc"))
    yield "ghsa-7jwh-3vrq-q3m8_length_wraps", pieces(
        4, [], message("B", text("") + text(""), 0xFFFFFFFF) + query
    )
    yield "length_negative", pieces(4, [], query + message("d", b"", 0x80000000))
    yield "length_3", pieces(4, [], copy + message("Q", b"", 3))
    yield "length_0", pieces(4, [], copy + message("d", b"", 0))


def framer_backend():
    row = message("D", u16(2) + u32(1) + b"7" + u32(-1))
    field = text("a") + u32(0) + u16(0) + u32(25) + b"\xff" * 6 + u16(0)
    description = message("T", u16(1) + field)
    ready = message("Z", b"I")
    complete = message("C", text("SELECT 2"))
    error = message("E", b"S" + text("ERROR") + b"C" + text("42601") + b"M" + text("no") + b"\0")
    login = (
        message("R", u32(0))
        + message("S", text("TimeZone") + text("UTC"))
        + message("K", u32(1) + b"abcd")
        + ready
    )
    yield "login", pieces(4, [], login)
    yield "result", pieces(4, [], description + row * 5 + complete + ready)
    yield "result_byte_by_byte", pieces(4, [0], description + row * 3 + complete + ready)
    yield "batch", pieces(4, [3], message("1") + message("2") + message("n") + message("3") + ready)
    yield "error", pieces(4, [7, 1], error + ready)
    yield "error_head_then_rows", pieces(2, [255], message("E", b"M" * 3000) + row * 4 + ready)
    yield "copy_out", pieces(
        4, [11], message("H", b"\0" + u16(1) + u16(0)) + message("d", b"x\n") * 4 + message("c")
    )
    yield "copy_both", pieces(4, [], message("W", b"\0" + u16(0)) + message("d", b"w" + b"\0" * 24))
    yield "asynchronous", pieces(
        4, [], row + message("A", u32(1) + text("c") + text("p")) + message("N", b"\0") + row
    )
    yield "negotiate", pieces(4, [], message("v", u32(0) + u32(1) + text("_pq_.x")))
    yield "suspended", pieces(4, [], row + message("s") + message("I") + message("V", u32(-1)))
    yield "key_256", pieces(4, [], message("K", u32(1) + b"k" * 256))
    yield "key_257", pieces(4, [], message("K", u32(1) + b"k" * 257))
    yield "row_of_2_gib", pieces(4, [], message("D", u16(1) + u32(0x7FFFFFF5), 0x7FFFFFFF))
    yield "row_negative", pieces(4, [], row + message("D", u16(1), 0x80000000))
    yield "row_length_wraps", pieces(4, [], row + message("D", u16(1), 0xFFFFFFFF))
    yield "row_too_short", pieces(4, [], row + message("D", b"\0") + ready)
    yield "ready_too_long", pieces(4, [], row + message("Z", b"II"))
    yield "unknown_type", pieces(4, [2], row + message("Q", text("x")))


def frontend_views():
    scram = text("SCRAM-SHA-256")
    parse = text("s1") + text("select $1")
    yield "bind", text("") + text("s1") + u16(0) + u16(1) + u32(1) + b"7" + u16(0)
    yield "close_statement", b"S" + text("s1")
    yield "close_portal", b"P" + text("")
    yield "execute", text("c1") + u32(500)
    yield "parse", parse + u16(2) + u32(23) + u32(25)
    yield "parse_65535_types", parse + u16(0xFFFF) + u32(23)
    yield "query", text("select 1")
    yield "query_nul_inside", text("select\0 1")
    yield "query_no_nul", b"select 1"
    yield "sasl_initial", scram + u32(5) + b"n,,n="
    yield "sasl_initial_none", scram + u32(-1)
    yield "sasl_initial_empty", scram + u32(0)
    yield "cve-2026-6664_sasl_length_max", scram + u32(0x7FFFFFFF) + b"n,,n="
    yield "cve-2026-6664_sasl_length_minus_2", scram + u32(-2) + b"n,,n="
    yield "cve-2026-6664_sasl_length_min", scram + u32(0x80000000) + b"n,,n="
    yield "cve-2026-6664_sasl_length_wraps", scram + u32(0xFFFFFFFB) + b"n,,n="


def backend_views():
    field = text("id") + u32(16384) + u16(1) + u32(23) + u16(4) + u32(-1) + u16(0)
    yield "authentication_ok", u32(0)
    yield "authentication_md5", u32(5) + b"salt"
    scram = text("SCRAM-SHA-256")
    yield "authentication_sasl", u32(10) + text("SCRAM-SHA-256-PLUS") + scram + b"\0"
    yield "authentication_sasl_no_end", u32(10) + scram
    yield "key_4", u32(1) + b"abcd"
    yield "key_256", u32(1) + b"k" * 256
    yield "command_complete", text("INSERT 0 1")
    yield "copy_in", b"\0" + u16(2) + u16(0) + u16(1)
    yield "copy_in_65535", b"\0" + u16(0xFFFF) + u16(0)
    yield "row", u16(3) + u32(1) + b"7" + u32(-1) + u32(0)
    yield "row_value_too_long", u16(1) + u32(0x7FFFFFFF) + b"7"
    yield "row_value_negative", u16(1) + u32(-2) + b"7"
    yield "row_65535_columns", u16(0xFFFF) + u32(-1) * 3
    yield "function_result", u32(3) + b"abc"
    yield "function_result_negative", u32(0x80000000)
    yield "negotiate", u32(2) + u32(2) + text("_pq_.a") + text("_pq_.b")
    yield "negotiate_4294967295", u32(2) + u32(-1) + text("_pq_.a")
    yield "notification", u32(77) + text("news") + text("it's here")
    yield "parameter_types", u16(2) + u32(23) + u32(25)
    yield "parameter_types_65535", u16(0xFFFF) + u32(23)
    yield "parameter_status", text("TimeZone") + text("UTC")
    yield "ready", b"T"
    yield "row_description", u16(2) + field + field
    yield "row_description_65535", u16(0xFFFF) + field
    yield "proxysql-4955_short", u16(1) + text("id")


def error_fields():
    common = b"S" + text("FEHLER") + b"V" + text("ERROR")
    rest = b"D" + text("d") + b"H" + text("h") + b"F" + text("x.c") + b"L" + text("666")
    yield "error", common + b"C" + text("23505") + b"M" + text("dup") + rest + b"\0"
    yield "cve-2026-6666_no_sqlstate", common + b"M" + text("no code") + b"\0"
    yield "no_field", b"\0"
    yield "no_terminator", common + b"C" + text("23505")
    yield "value_not_ended", common + b"C2350"
    codes = b"C" + text("1") + b"C" + text("2")
    yield "repeated", common * 2 + codes + b"M\0M" + text("m") + b"\0"
    yield "fatal", b"S" + text("FATAL") + b"C" + text("57P01") + b"M" + text("bye") + b"\0"
    yield "unknown_codes", bytes(range(1, 65)) + b"\0" + b"\xff" + text("x") + b"\0"


def sql():
    """The first byte: 0 for standard strings, 1 for others."""
    corpus = CORPUS.parent.parent / "unit" / "routing" / "corpus" / "facts.txt"
    lines = [line[2:] for line in corpus.read_text().split("\n") if line.startswith("> ")]
    # Several statements in a seed: mutations of each seed take time.
    for number in range(0, len(lines), 40):
        yield f"statements_{number:03}", b"\0" + ";\n".join(lines[number : number + 40]).encode()
    yield "continued", b"\0SELECT 'a' -- b\n 'c', E'\\''\n'd' UESCAPE '!', N'x', U&'a' /**/\n'b'"
    yield "not_standard", b"\1SELECT 'a\\', 'b\\'' -- c\n 'd', E'\\\\', $$\\$$"
    yield "folded", b"\0INSERT INTO t VALUES (1,'a',$1),(-2,NULL,DEFAULT),(f(1)), a IN (1, $2)"
    yield "operators", b"\0SELECT a-/**/-b, c*-d, e@-f, g--\n||/*/**/*/h, 1..2, .5, 0x1F, 1_0e+1"
    yield "identifiers", b"\0SELECT \"a\"\"b\", U&\"d!0061\" UESCAPE '!', a$1, $1a, \xc3\xa9\xff"
    yield "settings", b"\0SET a.b TO -1, 'c'; SELECT set_config($1, 'x'::text, is_local => true)"


def said(*messages):
    """Each behind its length."""
    return b"".join(u16(len(each)) + each for each in messages)


def base64_of(value):
    return base64.b64encode(value)


def digest_of(key, value):
    return hmac.new(key, value, hashlib.sha256).digest()


def proven(first_bare, server_first, without_proof, password=b"secret", salt=b"s" * 16):
    """client-final with the proof of one iteration."""
    salted = digest_of(password, salt + u32(1))
    key = digest_of(salted, b"Client Key")
    stored = hashlib.sha256(key).digest()
    signature = digest_of(stored, b",".join((first_bare, server_first, without_proof)))
    proof = bytes(a ^ b for a, b in zip(key, signature))
    return without_proof + b",p=" + base64_of(proof)


def initial(mechanism, first):
    return text(mechanism) + u32(len(first)) + first


def md5_of(value):
    return hashlib.md5(value).hexdigest().encode()


def client_authentication():
    """The first byte: 0 SCRAM, 1 MD5, 2 a clear password; 0x10 nobody's, 0x20 inside TLS."""
    bare = b"n=,r=abc"
    nonce = b"abc" + base64_of(b"\1" * 18)
    server_first = b"r=" + nonce + b",s=" + base64_of(b"s" * 16) + b",i=1"
    final = proven(bare, server_first, b"c=biws,r=" + nonce)
    first = initial("SCRAM-SHA-256", b"n,," + bare)
    yield "scram", b"\0" + said(first, final)
    yield "scram_unknown_user", b"\x10" + said(first, final)
    yield "scram_wrong_proof", b"\0" + said(first, final[:-4] + b"AAA=")
    yield "scram_twice", b"\0" + said(first, first)
    yield "scram_without_first", b"\0" + said(text("SCRAM-SHA-256") + u32(-1), b"n,," + bare)
    bound = b"p=tls-server-end-point,,"
    plus = proven(bare, server_first, b"c=" + base64_of(bound + b"e" * 32) + b",r=" + nonce)
    yield "scram_plus", b"\x20" + said(initial("SCRAM-SHA-256-PLUS", bound + bare), plus)
    yield "scram_downgraded", b"\x20" + said(initial("SCRAM-SHA-256", b"y,," + bare), final)
    yield "scram_as_somebody", b"\0" + said(initial("SCRAM-SHA-256", b"n,a=x,n=y=2C,r=abc"))
    yield "scram_extension", b"\0" + said(initial("SCRAM-SHA-256", b"n,,m=x,n=,r=abc"))
    yield "other_mechanism", b"\0" + said(initial("PLAIN", b"\0me\0secret"))
    hashed = b"md5" + md5_of(md5_of(b"secretme") + b"salt")
    yield "md5", b"\1" + said(hashed + b"\0")
    yield "md5_wrong", b"\1" + said(b"md5" + b"0" * 32 + b"\0")
    yield "md5_short", b"\1" + said(b"md5\0")
    yield "clear", b"\2" + said(b"secret\0")
    yield "clear_two_strings", b"\2" + said(b"secret\0x\0")
    yield "clear_empty", b"\2" + said(b"\0", b"")


def server_authentication():
    """The first byte: 0 with a password, 1 with an MD5 hash, 2 with nothing; 0x10 where it may be
    sent as it is, 0x20 inside TLS, 0x40 with its end point."""
    offers = u32(10) + text("SCRAM-SHA-256-PLUS") + text("SCRAM-SHA-256") + b"\0"
    plain = u32(10) + text("SCRAM-SHA-256") + b"\0"
    nonce = base64_of(b"\1" * 18)
    first = u32(11) + b"r=" + nonce + b"xyz,s=" + base64_of(b"s" * 16) + b",i=1"
    bare = b"n=,r=" + nonce
    without = b"c=biws,r=" + nonce + b"xyz"
    salted = digest_of(b"secret-of-ours", b"s" * 16 + u32(1))
    signature = digest_of(digest_of(salted, b"Server Key"), b",".join((bare, first[4:], without)))
    final = u32(12) + b"v=" + base64_of(signature)
    yield "ok", b"\0" + said(u32(0))
    yield "clear", b"\x10" + said(u32(3), u32(0))
    yield "clear_refused", b"\0" + said(u32(3), u32(0))
    yield "md5", b"\1" + said(u32(5) + b"salt", u32(0))
    yield "md5_short", b"\0" + said(u32(5) + b"sal")
    yield "scram", b"\0" + said(plain, first, final, u32(0))
    yield "scram_plus", b"\x60" + said(offers, first, final, u32(0))
    yield "scram_plus_without_tls", b"\0" + said(u32(10) + text("SCRAM-SHA-256-PLUS") + b"\0")
    yield "scram_without_proof", b"\0" + said(plain, first, u32(0))
    yield "scram_refused", b"\0" + said(plain, first, u32(12) + b"e=invalid-proof")
    yield "scram_many_iterations", b"\0" + said(plain, first[:-1] + b"2147483647")
    yield "scram_other_nonce", b"\0" + said(plain, u32(11) + b"r=abc,s=c3M=,i=1")
    yield "nothing_to_show", b"\2" + said(plain)
    yield "gss", b"\0" + said(u32(7))
    yield "short", b"\0" + said(b"\0\0")


def secrets():
    key = base64_of(b"k" * 32)
    yield "clear", b"a password"
    yield "md5", b"md5" + b"0123456789abcdef" * 2
    yield "md5_upper", b"md5" + b"0123456789ABCDEF" * 2
    yield "scram", b"SCRAM-SHA-256$4096:" + base64_of(b"s" * 16) + b"$" + key + b":" + key
    yield "scram_no_salt", b"SCRAM-SHA-256$4096:$" + key + b":" + key
    yield "scram_zero", b"SCRAM-SHA-256$0:c2FsdA==$" + key + b":" + key
    yield "scram_many", b"SCRAM-SHA-256$4294967297:c2FsdA==$" + key + b":" + key
    yield "scram_short_key", b"SCRAM-SHA-256$1:c2FsdA==$c2FsdA==:" + key
    yield "scram_not_canonical", b"SCRAM-SHA-256$1:c2FsdB==$" + key + b":" + key
    yield "nul", b"a\0b"
    yield "not_ascii", "pässwörd\u00ad\u3000".encode()


TARGETS = [
    client_authentication,
    server_authentication,
    secrets,
    startup,
    proxy_header,
    options,
    framer_frontend,
    framer_backend,
    frontend_views,
    backend_views,
    error_fields,
    sql,
]


def main():
    for target in TARGETS:
        folder = CORPUS / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if not old.name.startswith("found-"):
                old.unlink()
        for name, content in target():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
