/* conform: libs=-lm */
/* What a C library does by itself on top of the calls: formats, locale, sorting, mathematics, time zones, temporary files. */
#include "../tst.h"

#include <locale.h>
#include <math.h>
#include <wchar.h>

static int compare(const void *one, const void *two)
{
	return *(const int *)one - *(const int *)two;
}

int main(void)
{
	int numbers[1000], sorted = 1;
	char text[128];
	struct tm parts = { 0 };
	time_t when = 86400 * 365;
	FILE *file;

	CHECK(setlocale(LC_ALL, "C.UTF-8") || setlocale(LC_ALL, "C"), "a locale");
	snprintf(text, sizeof(text), "%.3f %e %g %a", 1.0 / 3, 12345.678, 1e-7, 1.0);
	CHECK_STR(text, "0.333 1.234568e+04 1e-07 0x1p+0");
	for (int i = 0; i < 1000; i++)
		numbers[i] = i * 7919 % 1000;
	qsort(numbers, 1000, sizeof(int), compare);
	for (int i = 0; i < 1000; i++)
		sorted &= numbers[i] == i;
	CHECK(sorted, "qsort");
	volatile double two = 2;
	CHECK(fabs(sqrt(two) * sqrt(two) - 2) < 1e-15 && fabs(sin(two) - 0.90929742682568169) < 1e-15, "sqrt and sin");
	CHECK(gmtime_r(&when, &parts) && parts.tm_year == 71 && parts.tm_yday == 0, "gmtime");
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
	CHECK_STR(text, "1971-01-01 00:00:00");
	file = tmpfile();
	CHECK(file && fprintf(file, "%d %s\n", 42, "words") == 9, "a temporary file");
	rewind(file);
	CHECK(fgets(text, sizeof(text), file) && !strcmp(text, "42 words\n"), "which reads back");
	fclose(file);
	CHECK(strtod("0x1.8p1", NULL) == 3 && strtol("-0777", NULL, 0) == -511, "strtod and strtol");
	return tst_done();
}
