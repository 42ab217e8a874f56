/* clock_gettime(2), clock_getres(2), gettimeofday(2), time(2): every clock moves forward, they agree, and their errors. */
#include "../tst.h"

#include <sys/time.h>

int main(void)
{
	static const struct {
		clockid_t id;
		const char *name;
	} clocks[] = {
		{ CLOCK_REALTIME, "CLOCK_REALTIME" },
		{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
		{ CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID" },
		{ CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID" },
		{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
		{ CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE" },
		{ CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE" },
		{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
		{ CLOCK_TAI, "CLOCK_TAI" },
	};
	struct timespec now, last, resolution;
	struct timeval day;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int backwards = 0, invalid = 0;

		CHECK(clock_gettime(clocks[i].id, &last) == 0, "%s can be read", clocks[i].name);
		for (int n = 0; n < 2000; n++) {
			MUST(syscall(SYS_clock_gettime, clocks[i].id, &now));
			invalid += now.tv_nsec < 0 || now.tv_nsec > 999999999;
			backwards += now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec);
			last = now;
		}
		CHECK(!backwards && !invalid, "%s never runs backwards", clocks[i].name);
		CHECK(syscall(SYS_clock_getres, clocks[i].id, &resolution) == 0 && resolution.tv_sec == 0 &&
			      resolution.tv_nsec >= 1 && resolution.tv_nsec <= 10000000,
		      "%s has a resolution of 10 ms or better", clocks[i].name);
	}
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &resolution), 0);
	CHECK_EQ(resolution.tv_nsec, 1);
	CHECK_EQ(clock_getres(CLOCK_REALTIME, NULL), 0);

	MUST(clock_gettime(CLOCK_REALTIME, &now));
	CHECK_EQ(syscall(SYS_gettimeofday, &day, NULL), 0);
	CHECK(day.tv_usec >= 0 && day.tv_usec < 1000000 && day.tv_sec - now.tv_sec <= 1, "gettimeofday agrees with CLOCK_REALTIME");
	CHECK(labs(syscall(SYS_time, NULL) - now.tv_sec) <= 1, "so does time");
	CHECK(now.tv_sec > 1700000000, "the date is later than 2023");
	CHECK(llabs(tst_now(CLOCK_REALTIME_COARSE) - tst_now(CLOCK_REALTIME)) < 50000000, "the coarse clock is within 50 ms");
	CHECK(llabs(tst_now(CLOCK_MONOTONIC_COARSE) - tst_now(CLOCK_MONOTONIC)) < 50000000, "the other coarse clock too");
	CHECK(tst_now(CLOCK_BOOTTIME) >= tst_now(CLOCK_MONOTONIC) - 1000000, "time since boot is no less than monotonic time");

	CHECK_ERR(syscall(SYS_clock_gettime, 99, &now), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_clock_getres, 99, &now), EINVAL);
	CHECK_ERR(syscall(SYS_clock_getres, CLOCK_MONOTONIC, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &now), EINVAL);
	return tst_done();
}
