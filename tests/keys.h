#ifndef SPILLWAY_TESTS_KEYS_H
#define SPILLWAY_TESTS_KEYS_H

/*
 * Keys for tests, and what another implementation has signed with them. The key
 * on a curve is that of RFC 7515 A.3; the others are random, and for nothing
 * else.
 */

static const char ec_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";

static const char ec_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
    "-----END PRIVATE KEY-----\n";

static const char rsa_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAryz9bVGhZpyYWjPVf5fY\n"
    "shRnbVb/7BLllL4HUfb7QIPu+N94bfb6ZmjQ6mVc0FwNG93wZFAACGHLulvM7wwM\n"
    "lOFcbUyMzLyJMAG6sR+Pi1U9ELQ9SOEBJSY97Z5Ep5BrletaTykEAT3Cxx6ST9yS\n"
    "SOyjPY0O5BUWdSP0PAdu1bEZOI6b8XYFXILf2bQwOFCOnclsbqx//naOkGrHmc4N\n"
    "xOgxh9Tc7Vq542+T8xFo4YBIpVwtC+Jxnau5xIHekkX7LFtSFUleI+P/sTQliGEL\n"
    "TVeRz0nvZOTj8wvEO44I7FOKXTJPl3osUwoGMJXVaDSeDBHLXA1ENGXx+omwvBZY\n"
    "NwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char rsa_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCvLP1tUaFmnJha\n"
    "M9V/l9iyFGdtVv/sEuWUvgdR9vtAg+7433ht9vpmaNDqZVzQXA0b3fBkUAAIYcu6\n"
    "W8zvDAyU4VxtTIzMvIkwAbqxH4+LVT0QtD1I4QElJj3tnkSnkGuV61pPKQQBPcLH\n"
    "HpJP3JJI7KM9jQ7kFRZ1I/Q8B27VsRk4jpvxdgVcgt/ZtDA4UI6dyWxurH/+do6Q\n"
    "aseZzg3E6DGH1NztWrnjb5PzEWjhgEilXC0L4nGdq7nEgd6SRfssW1IVSV4j4/+x\n"
    "NCWIYQtNV5HPSe9k5OPzC8Q7jgjsU4pdMk+XeixTCgYwldVoNJ4MEctcDUQ0ZfH6\n"
    "ibC8Flg3AgMBAAECggEABB1u8Jf3ziTEkW3hSIeFIB3JljByf5WsDfPu0RaXrVrM\n"
    "DM2XEyI3nJs+uRrbdMuMxUhP4tNcRNYjRoPsivsB+qdWl/yx3Adbw6RuwcVnhlLg\n"
    "xdkuDV23vKsqzj+nBjamyFVIgE6K2Qqd3jaSIk0gpJTmesYrAOGb7vGCxbw49s0R\n"
    "voLzWDgQHAabcBt3Ky9scu3AgumDJuO3o7p7IRjiNoKAgPYOMm3pE6JQpae/UAE5\n"
    "uOirCsRmLSsW8MZuwujFPngsV2hBFy28UR6ecOsDx1Lv/oJrWcLZanP9qA9Ychbz\n"
    "OzsO9Pt5nEMfJfSStPI6iKbbu7UQDg1rvrh3p2vuoQKBgQDg4s5Eq+PjazIyT/wz\n"
    "FaCnUBAlto45OAUirWd6Pq+o9fk+v7bAZ9UoCoSTiSme0Ny76izratIBFOtZbUpQ\n"
    "TAKW7+Buc2PNhrwTFSCywTZrdLitoPi3x+rjdSoNARo7+1U2gen6Avups1+ZChOE\n"
    "G4ONTeiCU6Yq75ryFlZ70CmtIQKBgQDHaYHXM7XUcBLTKp5AX7MKajVrhk+nPQco\n"
    "oeQlmaQJngJRkmWWvt+Hx48UtKtZXPVon9k16qgFLylJKoG2yrTGORW8CuQ8Jp8n\n"
    "QAvfRk0DZW4zApkTqj8Qp41jvlF2ERq1moxl3pYw2pN+WTCksI7lhyNRa2C8dgSm\n"
    "52hF/ApCVwKBgQDUOHTbDTMza/ekzyJ6utAu1DlIvawdhyYhgW6DSCDQ277oXlcB\n"
    "33qiHLrb17a1Lvj/RJA7YUTozGsEq0RT3kcbVSeAU9g9HgbiIzAGQJswcKfPAnd0\n"
    "R278U5bpSr8NF7NkitjYnHQNwz5V19Ju+t/8OydNxc6r+g1Io5fdo6WQwQKBgQCU\n"
    "mfVeL3TC2LnOjyXbBvXfPwKMHEzjbcEV8H6Z3oK1gABuVVBLI/ZjsrzXS0Odln5y\n"
    "9xvg5/tJ0blMgtajJy/Lv+KIfP1ULdvQXhP60OK3MzEJ5le4pdfVS2c7+ymteFWV\n"
    "G5SgnV0DDv922nQ7Zi82sJwLIp+2EaSp1CyKaqYihQKBgAHnRNAw6UObmXl66Cv2\n"
    "tjxn2kqVnuSGwqTrxs4mDuR8t43PVVrLtRE4/7e2gveZYWsOrLlclSy8ipneTIci\n"
    "rYlnVPIdm8/jb3fom/Hbj40g2t/TO7ynMiSVricWdfLwaVrS1LLwPj3htUFronaw\n"
    "D6rF+fWQG9cEjj5qs04aYP3/\n"
    "-----END PRIVATE KEY-----\n";

static const char rsa_small[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDGZbODbKW7N0/YuOZqp+9ifKxB\n"
    "jIom76yJ0tT3v9344vt22lqEjcD9puP9vvapWxErOYs1G+vIzM3TWkKEHGlGAKS4\n"
    "OWlssCr68dgB+lZd0Qf6Sv9o76OlXShGA9iCgcNxXMA2L6QpKfIEke79Anfeq4Lo\n"
    "d2bkLJJ2tANWkBUpmwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char p384_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEGt9EjdC77RwJQlmCR7uX9jEs+D9+tS0l\n"
    "7V3/uM8lXwUKj12Od1gbPxzqb1I9AiQCEyL6j+oBezYVkGDpb7rO9vssgCPdZQn/\n"
    "umZ2ih8i41jWT5dUc4ODvV5UQDzvbU6T\n"
    "-----END PUBLIC KEY-----\n";

static const char rs256_of_text[] =
    "NcjCt_obeRS2sdECX-Fae6167ALOSyGCkpueRsUA82ZWJlwTZuGk0bgRSGj0IDzL"
    "fETk2NwPmGkS0HutPEmYuqWvKd2E2PSmHXvjk_NM2oCY0jKaBWni6G-5J65KDS3f"
    "iNXixyZ52uhYnu_NkiKOH0YySZMy_Mr-fziQQJ5774LV7N167MGKRzZTabxudI5a"
    "hy7qYEdTMid38yRYq5Mfm7eT3q-vzsCFmRdzq0a5R1oTrOm8qpn6n1A9W5Jv3FGO"
    "b_0S3fxHqWY0hEOLADz9g74zvcPcya_re8R3bXYh63bYDpxoQ1AqLWBSdorVz-V9"
    "ujTghJVT9DFunf9FQcTkMw";

static const char ps256_of_text[] =
    "CRGBrSZfg4S1U85iUhhlFdigLDpQTlz4TimXryi3cgxhpwX-gVPBTc4XS179Djpv"
    "WWXKIm0OvwKXoHMGMrKve9m_c2d04nII3ocMIyUtQUZQi1eQGDZhCZPnYw2ZYkdd"
    "o1j_WMQqeTf2i6_zKmlGEDTPlMZYCeUII4ZLxXvx1uYJsWaUUB9rwlgU0gMl_rK9"
    "g33tJMMr7xqnv_-nFuHdrbZlOKhkinjmN6jqGaBWMg-9Cs3VKi7NGuJy_hvpgH7T"
    "AZ_xaGJGH5Oi4ndL0VKjHSZV5uvciCQshPtCyKKG5HrHpFDD2aW39vLcQuXJSHgb"
    "yzGs673OH_4xkxTlY25iqw";

static const char ps256_with_long_salt[] =
    "UFK_nDBjeoCNtCRe9PszHpT2yRhB6I8aAUYwp-FUdMWxIhne0YKveXcFPrFFZ1zy"
    "4L3VduJmvbdJHu-EVQh8abbvsh0qenMMT9SMGh-SB7GV31b2QkWje8eobGsB6FSE"
    "p1qtlxJVrBO3yHpY_tujxrT2ZBWlIrOij9t1uqgVTPL-vXHCM5US_4Qmieevxm7Y"
    "EXGjU1q2CdI6jyJl_bXj7NbtmOCGClwTVvgUQHxw84iJi4gBzjrMGALbcSOQsStM"
    "20M6-2VVrDNSnaPkwUXlgZIfM8Az3JtMUvU3VoI_4CuYWeYE2HlXb_5gmOJprIzZ"
    "iey_uZzXaRGT3buzlIA5Gw";

#endif
