"""Ed25519 (RFC 8032, section 5.1) in plain integers: public keys and verification, as an implementation
that shares nothing with OpenSSL. Slow, and not for secrets."""

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Points in extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x y = T/Z."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(factor, point):
    sum_ = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            sum_ = add(sum_, point)
        point = add(point, point)
        factor >>= 1
    return sum_


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * ROOT_OF_MINUS_1 % P
    if x * x % P != x2 or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def compress(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def public_key(seed: bytes) -> bytes:
    number = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return compress(multiply(number & (1 << 254) - 8 | 1 << 254, BASE))


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    point, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or point is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    return compress(multiply(s, BASE)) == compress(add(r, multiply(h % ORDER, point)))
