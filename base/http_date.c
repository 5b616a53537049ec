/* base/http_date.c: see base/http_date.h. */
#include "base/http_date.h"

#include <stdio.h>
#include <string.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began with a Thursday */

struct civil {
    int64_t year;
    int month, day, hour, minute, second; /* month: 1 to 12 */
};

/* Days since 1970 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
 * algorithms"): years begin in March, so that the leap day is the last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_of(int64_t s, struct civil *c)
{
    int64_t day = s / 86400 - (s % 86400 < 0), rest = s - day * 86400;
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    c->day = (int)(of_year - (153 * m + 2) / 5 + 1);
    c->month = (int)(m < 10 ? m + 3 : m - 9);
    c->year = y + era * 400 + (c->month <= 2);
    c->hour = (int)(rest / 3600);
    c->minute = (int)(rest / 60 % 60);
    c->second = (int)(rest % 60);
}

char *http_date_format(int64_t s, char out[HTTP_DATE_BYTES])
{
    struct civil c;
    int64_t day = s / 86400 - (s % 86400 < 0);
    civil_of(s, &c);
    int64_t weekday = (day % 7 + 7) % 7;
    unsigned year = (unsigned)(c.year >= 0 && c.year <= 9999 ? c.year : 9999);
    snprintf(out, HTTP_DATE_BYTES, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * weekday,
             (unsigned)c.day % 100, months + 3 * (c.month - 1), year, (unsigned)c.hour % 100,
             (unsigned)c.minute % 100, (unsigned)c.second % 100);
    return out;
}

/* ---- reading ---- */

static int month_of(const char *s)
{
    for (int m = 0; m < 12; m++)
        if (memcmp(s, months + (size_t)m * 3, 3) == 0)
            return m + 1;
    return 0;
}

static bool take_digit(int *value, char c, bool blank)
{
    if (blank && c == ' ')
        return true;
    if (c < '0' || c > '9')
        return false;
    *value = *value * 10 + (c - '0');
    return true;
}

/* Letters of the pattern: Y year, d day, e day with a leading blank allowed, H m S, B month. */
static bool match(const char *pattern, const char *s, size_t len, struct civil *c)
{
    *c = (struct civil){0};
    int year = 0;
    if (strlen(pattern) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool fine = true;
        switch (pattern[i]) {
        case 'Y': fine = take_digit(&year, s[i], false); break;
        case 'd': fine = take_digit(&c->day, s[i], false); break;
        case 'e': fine = take_digit(&c->day, s[i], true); break;
        case 'H': fine = take_digit(&c->hour, s[i], false); break;
        case 'm': fine = take_digit(&c->minute, s[i], false); break;
        case 'S': fine = take_digit(&c->second, s[i], false); break;
        case 'w': fine = (s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z'; break;
        case 'B': c->month = c->month ? c->month : month_of(s + i); break;
        default: fine = pattern[i] == s[i]; break;
        }
        if (!fine)
            return false;
    }
    c->year = year;
    return c->month > 0;
}

static bool is_sane(const struct civil *c)
{
    return c->day >= 1 && c->day <= 31 && c->hour < 24 && c->minute < 60 && c->second <= 60;
}

/* More than 50 years ahead is the most recent year in the past with those digits. */
static int64_t full_year(int64_t two_digits, int64_t now_s)
{
    struct civil now;
    civil_of(now_s, &now);
    int64_t year = now.year / 100 * 100 + two_digits;
    return year > now.year + 50 ? year - 100 : year;
}

bool http_date_parse(const char *s, size_t len, int64_t now_s, int64_t *out_s)
{
    struct civil c;
    if (match("www, dd BBB YYYY HH:mm:SS GMT", s, len, &c) ||
        match("www BBB ed HH:mm:SS YYYY", s, len, &c)) {
        /* the preferred form, and that of asctime() */
    } else {
        const char *comma = memchr(s, ',', len < 10 ? len : 10); /* RFC 850: the day is a word */
        size_t skip = comma ? (size_t)(comma - s) : 0;
        if (!comma || !match(", dd-BBB-YY HH:mm:SS GMT", s + skip, len - skip, &c))
            return false;
        c.year = full_year(c.year, now_s);
    }
    if (!is_sane(&c))
        return false;
    *out_s = days_of(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return true;
}
