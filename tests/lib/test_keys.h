/* SPDX-License-Identifier: MIT */
/* Keys that protect nothing, for tests, and signatures of "header.claims" by openssl dgst. */
#ifndef TESTS_TEST_KEYS_H
#define TESTS_TEST_KEYS_H

#define TEST_RSA_KEY                                                         \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCZi8AvFXtGCfVl\n" \
	"jcENKQ3z+lYsM5ZQI++vEri5kvpUensreX3ByEamAuydsFfJzDbCbtktXCvtJJve\n" \
	"+FMHc8ZOo3v2VQ7Pga17YHECKfk80SvHRAOFMqJTGkqrVCQCdv345itRuTXqhFtF\n" \
	"x1GFdicRSCmyByRUjRZQS78cI11XDpb3v9MTvlOa2uBgwTBn73McffoFqOSBfaWJ\n" \
	"ov8MnKKKYQiXgA4UdY77h6qtZNZ7cvbLh/cnYFLhLFy6cV/yCjS0JpASewZJpTjt\n" \
	"CEhl5GGxMMSpYBGQDaaG7jjY7xnXIAIxVo92OJE4dgtRHpK79J77yX+h7+KmV0n1\n" \
	"iCV/C1UTAgMBAAECggEABGR7E3RVKQ2naHUHkMnBhddfvdTpJRZ4rkW1ME6TJgS1\n" \
	"VCctHvwqzP5mijpqots8PVOyPSkD+pAKA5qtmDYom8wCbQIQ+XVLTIAE2bgsf7aL\n" \
	"Nz6zU40XvVfsnb3hDZpo5cyCrPl5xhYSSiFxHP5p8oWO6Aji24ha5lqPrBjATxAI\n" \
	"4AcUl9NCL3pwo+j1/L+toUstg+du2rthWBveOLEy3nuRHzd9LZAhtnW7V8gqoQs1\n" \
	"YWddlImxB08e2R1w0+RBFa62gLLT2IvUfcmnmdrw/pLUz0htvg/OrOCGAe9a+7Wo\n" \
	"+bK6rKRQQ+q7fjygcuxvoP+OixlyXnCp3O6hTEisAQKBgQDXDbEf6cHemuNJwbBH\n" \
	"Lgnq/F0NxevnsDwHRJEMaYXaC2wDnGAGw7mWG/UFXPiOcMjceow9cC0yHe46/72b\n" \
	"CKamDcYU0jb3e9W7sGbPK/g5IbDJZFjSOn4VTfQmwEDUhRMciuJO9VPvSMpyNxWB\n" \
	"SUSM5yhkuh+c6jjv3XDr3j32lwKBgQC2yAHcLk/H5z06Dzuj0e0cTEqYdGVZkOMN\n" \
	"uqfUlayYFvIeHGQeh3aLgeXOIrTyvF+WR+rme9yFQKbt+GG0aJEDp4+nJ5ovLbnq\n" \
	"9a/nAxXbkQik4GSyn+ti5WxwmqWyEx6BoBnS1p8kqvSssj5z0plcU5V5EJ49lvMQ\n" \
	"yKp8oshA5QKBgEkFaChK6j5Y32ZS8zUoJ8v3hu0/UDvqdmeNW6cYSY/hIvsS5PRH\n" \
	"D0QuGAOLLwbGux1KK0ZNSbtjuFmmLs5uoI9vy9uUCX/9N3S0kCQ2bOGRVAL+JL61\n" \
	"h8xaHNXvn9PJn9SoP/HJkYeFcuBXXeD5bOJfNzMEk+lnCpA/47DjVKzfAoGAfapx\n" \
	"LPJiQ6xGOh6zAGSaQrRpLPwJmlS05oGIVe455a8Q84bNhvfXlv7OArV19tVwWqBD\n" \
	"bgeGi87xdfcpJaIm4X5Yk7H0na8wfcxBDfDfHEBQ0xq74Nt2OF5H+fs5JH9kn/Z1\n" \
	"CrIoZEttQTajHXqTmhiVUdENGocnwkhUfrBkQckCgYEAjCheCq0N8L5b6TPw9sTI\n" \
	"rp+TBibXYuZIWO3H0X16TYJqeqImBYJaF18rM1HGfGJFzjO6ixRqZo6RgPoXowDc\n" \
	"RiDeQ0+Y+w2i/9lH/p/Gln0fcHf5Tv1sBOUw7ArnX18/596BJ+yubqhXcAcnMWYl\n" \
	"/gvPZf0Ml+bJUd+1GPfRvQI=\n"                                         \
	"-----END PRIVATE KEY-----\n"

#define TEST_RSA_PUBLIC                                                      \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmYvALxV7Rgn1ZY3BDSkN\n" \
	"8/pWLDOWUCPvrxK4uZL6VHp7K3l9wchGpgLsnbBXycw2wm7ZLVwr7SSb3vhTB3PG\n" \
	"TqN79lUOz4Gte2BxAin5PNErx0QDhTKiUxpKq1QkAnb9+OYrUbk16oRbRcdRhXYn\n" \
	"EUgpsgckVI0WUEu/HCNdVw6W97/TE75TmtrgYMEwZ+9zHH36BajkgX2liaL/DJyi\n" \
	"imEIl4AOFHWO+4eqrWTWe3L2y4f3J2BS4SxcunFf8go0tCaQEnsGSaU47QhIZeRh\n" \
	"sTDEqWARkA2mhu442O8Z1yACMVaPdjiROHYLUR6Su/Se+8l/oe/ipldJ9YglfwtV\n" \
	"EwIDAQAB\n"                                                         \
	"-----END PUBLIC KEY-----\n"

#define TEST_EC_KEY                                                          \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFs+IBrd+8hu9vNdS\n" \
	"8cm7OmYF9WHhRXGf/REgD/86rlChRANCAARlJemgqdW+PGnB0+StYEx5D9qFU/Yi\n" \
	"BrdoEu3BILc6Qq7/zHkNcXKWX4xa9P3oo1jMz/rDtlP9POUX4BbgZ36L\n"         \
	"-----END PRIVATE KEY-----\n"

#define TEST_EC_PUBLIC                                                       \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZSXpoKnVvjxpwdPkrWBMeQ/ahVP2\n" \
	"Iga3aBLtwSC3OkKu/8x5DXFyll+MWvT96KNYzM/6w7ZT/TzlF+AW4Gd+iw==\n"     \
	"-----END PUBLIC KEY-----\n"

#define TEST_RS256                                                                         \
	"6164902907e5e8d1c4a3d58f7350abff1b710b904788ff959ac34b4b7328b2b5dd4358771d6b81af" \
	"93ab1a3a54d1c05e0a056327c9fa887843632ef1e6ee1910bed888a64e017211b0fa63ad9bc987b9" \
	"c73a22edd747292be498657ebe147ed874207661c1493197160f25cf0f7ec33e0cf841d1051ff006" \
	"90f0a6fa07d9608152ab80d52444c7d4ec3b0fab1486e3afc15be6e6cc76539a2768e630bedb86ab" \
	"9b200491bb2f8e603551665cbcb194fddd31c0bd61cca7f7d5b301dc295fcf3150ee00e0ad532a2f" \
	"3e129e5b1f4da6f7dce1f3568a3b0733c45887b29bfea97066e052dc09b0336fd7c8162b5e91b045" \
	"aadf850ff359b4e4968ec608ff278061"

/* PSS with a salt of 32 bytes, and with the longest. */
#define TEST_PS256                                                                         \
	"308633de114651e16223d1ec375bd8be6d08f5cc73cc0b87769838943ea5fa82ce22ccc02f7131b3" \
	"f79167144dce60643073ebb1f1ec07cd942ce2239d59d14504933c76b146ec9c7c318c04dc43cd4a" \
	"56ccaab34eb5ee448537ca67c2decc28c192093fc6e8c7cf55c0f94bc5c3b89709f717053b819f75" \
	"802741ec32eeb0babca1acc7205db85425a7f730c34cb7fd50073a3cb2eda79929fe8d30550a2c91" \
	"82421adbac8f5330478a94d0f893c91b7fc35c4464b05256fe7243fae84de25dac7bd4f98ba90fb4" \
	"4af60e7cd6d6f3738840f6d9060defe1e405ea49c5f036806d4f1e9068f58eb4cf0e09e981019613" \
	"40593a2b888c20d9a42ece6dfdd3a82b"

#define TEST_PS256_LONGEST                                                                 \
	"0e68beed0d2223d8f671b35669ccfff3e51d5add0945608e1cb6e08b9018dc1040b61d6a815f9185" \
	"c45ec7d5d4610013bf98e76f59e4dade8422651dedf53bf8041551b89f8ae7e97de852ec04939322" \
	"ca912a6433a635802c3dd952c3f60fb1ef617216e194eb00df6798e45296a6aecd744f19faa60431" \
	"6dfbfc24c251aec0b21eeb7ec61ccea4de3e8bf9fd59aced17d3d67c6daa425e6ce72c549eeb8439" \
	"073d2d453ec441dbd17e8af0ae632cc8e0c5ba5dc53d5e60760954cee2a1dd28668ca8d56adc4177" \
	"a42e2b33998a60da925e2db377de2b37750ece09935b886ba9beabd6cd3cdff581799d2f6a4da7e0" \
	"a0b9139b72cc6ecd480107f69587bbb9"

#define TEST_ES256                                                                         \
	"45d100e1fa1aa1049c8b32ecad96430dc905f6bf6bf2615136db677ee7aa312396acccaaaad96165" \
	"7efb6dddec1efa76397e58174eeaab79a3f76acae576aee4"

#endif
