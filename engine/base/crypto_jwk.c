/* SPDX-License-Identifier: MIT */
/*
 * Public keys as JSON Web Keys carry them (RFC 7518, 6): numbers without a frame.
 * They get the frame that everybody reads, a SubjectPublicKeyInfo in DER and PEM.
 */
#include <string.h>

#include "base/crypto.h"

enum { NUMBER_BYTES_MAX = 1024, POINT_BYTES = 32 };

static void put_length(struct buf *out, size_t len)
{
	unsigned char bytes[3] = { 0x82, (unsigned char)(len >> 8), (unsigned char)len };
	if (len < 128)
		buf_put_len(out, &bytes[2], 1);
	else
		buf_put_len(out, bytes, 3);
}

static void put_tagged(struct buf *out, char tag, struct str body)
{
	buf_put_len(out, &tag, 1);
	put_length(out, body.len);
	buf_put_len(out, body.ptr, body.len);
}

/* Positive: a leading zero where the first bit is set, and none else. */
static void put_integer(struct buf *out, struct str number)
{
	while (number.len > 1 && number.ptr[0] == 0)
		number = (struct str){ number.ptr + 1, number.len - 1 };
	char body[NUMBER_BYTES_MAX + 1] = { 0 };
	size_t sign = (unsigned char)number.ptr[0] >= 0x80;
	memcpy(body + sign, number.ptr, number.len);
	put_tagged(out, 0x02, (struct str){ body, number.len + sign });
}

static int read_der(struct str der, struct crypto_key **ret, struct err *err)
{
	struct buf pem;
	buf_init(&pem, 8192);
	buf_put(&pem, "-----BEGIN PUBLIC KEY-----\n");
	struct buf base64;
	buf_init(&base64, 8192);
	crypto_base64_put(der, &base64);
	for (size_t i = 0; i < base64.len; i += 64)
		buf_printf(&pem, "%.64s\n", base64.bytes + i);
	buf_put(&pem, "-----END PUBLIC KEY-----\n");
	int status = crypto_key_read(buf_str(&pem), ret, err);
	buf_release(&base64);
	buf_release(&pem);
	return status;
}

int crypto_key_rsa(struct str modulus, struct str exponent, struct crypto_key **ret,
                   struct err *err)
{
	static const char algorithm[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05";
	struct buf numbers, key, bits, all, der;
	if (modulus.len < 256 || modulus.len > NUMBER_BYTES_MAX || exponent.len == 0 ||
	    exponent.len > 8)
		return err_set_id(err, ERR_INPUT, "key.size",
		                  "this is no RSA key of 2048 bits or more");
	buf_init(&numbers, 4096);
	buf_init(&key, 4096);
	buf_init(&bits, 4096);
	buf_init(&all, 4096);
	buf_init(&der, 4096);
	put_integer(&numbers, modulus);
	put_integer(&numbers, exponent);
	put_tagged(&key, 0x30, buf_str(&numbers));
	buf_put_len(&bits, "\0", 1); /* no unused bits */
	buf_put_len(&bits, key.bytes, key.len);
	buf_put_len(&all, algorithm, sizeof(algorithm)); /* with the 00 of its NULL */
	put_tagged(&all, 0x03, buf_str(&bits));
	put_tagged(&der, 0x30, buf_str(&all));
	int status = read_der(buf_str(&der), ret, err);
	buf_release(&numbers);
	buf_release(&key);
	buf_release(&bits);
	buf_release(&all);
	buf_release(&der);
	return status;
}

int crypto_key_p256(struct str x, struct str y, struct crypto_key **ret, struct err *err)
{
	static const char head[] = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08"
				   "\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
	char der[sizeof(head) - 1 + 2 * POINT_BYTES];
	if (x.len != POINT_BYTES || y.len != POINT_BYTES)
		return err_set_id(err, ERR_INPUT, "key.size", "this is no key of the curve P-256");
	memcpy(der, head, sizeof(head) - 1);
	memcpy(der + sizeof(head) - 1, x.ptr, POINT_BYTES);
	memcpy(der + sizeof(head) - 1 + POINT_BYTES, y.ptr, POINT_BYTES);
	return read_der((struct str){ der, sizeof(der) }, ret, err);
}
