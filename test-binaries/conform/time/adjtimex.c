/* adjtimex(2) and clock_adjtime(2): what they say of a clock that nobody disciplines, what is kept, and their errors. CLOCK_TAI. */
#include "../tst.h"
#include <sys/file.h>
#include <sys/timex.h>

static int adjust(struct timex *timex)
{
	return syscall(SYS_adjtimex, timex);
}

/* The clock is everybody's: only one program changes it at a time. */
static void lock_clock(int how)
{
	int fd = open("/tmp/conform-clock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || flock(fd, how))
		tst_brk("cannot lock /tmp/conform-clock: %s", tst_errno(errno));
}

int main(void)
{
	struct timex timex = { 0 }, before;
	int state;

	lock_clock(LOCK_EX);
	state = adjust(&timex);

	CHECK(state == TIME_ERROR || state == TIME_OK, "adjtimex tells the state of the clock");
	CHECK(timex.tick >= 9000 && timex.tick <= 11000, "microseconds of a tick");
	CHECK_EQ(timex.precision, 1);
	CHECK_EQ(timex.tolerance, 32768000);
	CHECK(llabs(timex.time.tv_sec - tst_now(CLOCK_REALTIME) / 1000000000) <= 1, "the time");
	CHECK(timex.maxerror >= 0 && timex.maxerror <= 16000000, "the error");
	CHECK((state == TIME_ERROR) == !!(timex.status & (STA_UNSYNC | STA_CLOCKERR)), "an error if the clock is not synchronised");
	before = timex;

	CHECK_ERR(adjust(TST_BAD), EFAULT);
	timex.modes = 0x8000;
	CHECK_ERR(adjust(&timex), EINVAL);
	timex.modes = ADJ_TICK;
	timex.tick = 8999;
	CHECK_ERR(adjust(&timex), EINVAL);
	timex.tick = 11001;
	CHECK_ERR(adjust(&timex), EINVAL);
	timex.modes = ADJ_SETOFFSET;
	timex.time.tv_usec = -1;
	CHECK_ERR(adjust(&timex), EINVAL);
	timex.time.tv_usec = 1000000;
	CHECK_ERR(adjust(&timex), EINVAL);
	timex.modes = 0;
	CHECK_ERR(syscall(SYS_clock_adjtime, 99, &timex), EINVAL);
	CHECK_ERR(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &timex), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_adjtime, CLOCK_TAI, &timex), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_adjtime, CLOCK_REALTIME, TST_BAD), EFAULT);
	CHECK(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &timex) >= 0, "clock_adjtime does the same");

	timex.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR;
	timex.status = 0;
	timex.maxerror = 1000;
	timex.esterror = 500;
	if (adjust(&timex) < 0)
		tst_conf("the clock cannot be adjusted here: %s", tst_errno(errno));
	memset(&timex, 0, sizeof(timex));
	CHECK_EQ(adjust(&timex), TIME_OK);
	CHECK_EQ(timex.status & STA_UNSYNC, 0);
	CHECK(timex.maxerror >= 1000 && timex.maxerror < 3000, "the error that was set");
	CHECK_EQ(timex.esterror, 500);
	timex.modes = ADJ_NANO;
	CHECK_EQ(adjust(&timex), TIME_OK);
	CHECK(timex.status & STA_NANO, "nanoseconds");
	timex.modes = ADJ_MICRO;
	CHECK_EQ(adjust(&timex), TIME_OK);
	CHECK(!(timex.status & STA_NANO) && timex.time.tv_usec < 1000000, "microseconds");

	timex.modes = ADJ_TAI;
	timex.constant = before.tai + 37;
	CHECK(adjust(&timex) >= 0, "ADJ_TAI");
	CHECK_EQ(timex.tai, before.tai + 37);
	CHECK(llabs(tst_now(CLOCK_TAI) - tst_now(CLOCK_REALTIME) - timex.tai * 1000000000LL) < 500000000, "CLOCK_TAI is that far ahead");
	timex.modes = ADJ_TAI;
	timex.constant = before.tai;
	CHECK(adjust(&timex) >= 0, "and back");
	timex.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR;
	timex.status = before.status;
	timex.maxerror = before.maxerror;
	timex.esterror = before.esterror;
	CHECK(adjust(&timex) >= 0, "as before");
	return tst_done();
}
