// SPDX-License-Identifier: MIT
/*
 * The MC146818 real-time clock.  While it counts a second up its registers are not to be read; instead of
 * waiting for that to happen and be over, all are read twice until both readings agree.
 */
#include "arch/x86_64/rtc.h"

#include <string.h>

#include "arch/x86_64/cpu.h"

#define RTC_INDEX    0x70
#define RTC_DATA     0x71
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define A_UPDATING   0x80
#define B_24_HOURS   0x02
#define B_BINARY     0x04
#define HOUR_PM      0x80
#define TRIES        100

enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, FIELDS };
static const uint8_t field_index[FIELDS] = { 0, 2, 4, 7, 8, 9 };

static uint8_t cmos_read(uint8_t index)
{
    outb(RTC_INDEX, index);
    return inb(RTC_DATA);
}

static void read_fields(uint8_t field[FIELDS])
{
    for (unsigned i = 0; i < FIELDS; i++)
        field[i] = cmos_read(field_index[i]);
}

static bool read_settled(uint8_t field[FIELDS])
{
    uint8_t again[FIELDS];
    for (unsigned i = 0; i < TRIES; i++) {
        if (cmos_read(RTC_STATUS_A) & A_UPDATING)
            continue;
        read_fields(field);
        read_fields(again);
        if (memcmp(field, again, FIELDS) == 0)
            return true;
    }
    return false;
}

static void decode(uint8_t field[FIELDS], uint8_t status)
{
    bool is_pm = !(status & B_24_HOURS) && field[HOUR] & HOUR_PM;
    if (!(status & B_24_HOURS))
        field[HOUR] &= (uint8_t)~HOUR_PM;
    for (unsigned i = 0; i < FIELDS && !(status & B_BINARY); i++)
        field[i] = (uint8_t)((field[i] >> 4) * 10 + (field[i] & 15));
    if (!(status & B_24_HOURS))
        field[HOUR] = (uint8_t)(field[HOUR] % 12 + (is_pm ? 12 : 0));
}

/* Days since 1970 of a date of the Gregorian calendar; years begin in March, so that the leap day is
 * the last. */
static int64_t days_of(int year, int month, int day)
{
    year -= month <= 2;
    int months = (month + 9) % 12;
    return 365LL * year + year / 4 - year / 100 + year / 400 + (153 * months + 2) / 5 + day - 1 -
           719468;
}

bool rtc_read(nsec_t *realtime)
{
    uint8_t field[FIELDS];
    if (!read_settled(field))
        return false;
    decode(field, cmos_read(RTC_STATUS_B));
    if (field[SECOND] > 59 || field[MINUTE] > 59 || field[HOUR] > 23 || field[DAY] < 1 ||
        field[DAY] > 31 || field[MONTH] < 1 || field[MONTH] > 12 || field[YEAR] > 99)
        return false;
    int year = field[YEAR] + (field[YEAR] < 70 ? 2000 : 1900);
    int64_t seconds = days_of(year, field[MONTH], field[DAY]) * 86400 + field[HOUR] * 3600LL +
                      field[MINUTE] * 60LL + field[SECOND];
    *realtime = seconds * NSEC_PER_SEC;
    return true;
}
