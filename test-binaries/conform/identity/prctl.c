/* prctl(2): the thread's name, dumpable, no_new_privs, keepcaps, death signal, timer slack; and its errors. */
#include "../tst.h"

#include <sys/prctl.h>

int main(void)
{
	char name[17] = { 0 }, text[64];
	int value = -1;

	MUST(prctl(PR_GET_NAME, name, 0, 0, 0));
	CHECK(strlen(name) > 0 && strlen(name) < 16, "a name to begin with");
	CHECK_EQ(prctl(PR_SET_NAME, "fifteen-letters-and-more", 0, 0, 0), 0);
	MUST(prctl(PR_GET_NAME, name, 0, 0, 0));
	CHECK_STR(name, "fifteen-letters");
	MUST(tst_read_file("/proc/self/comm", text, sizeof(text)));
	CHECK_STR(text, "fifteen-letters\n");
	CHECK_ERR(prctl(PR_SET_NAME, TST_BAD, 0, 0, 0), EFAULT);
	CHECK_ERR(prctl(PR_GET_NAME, TST_BAD, 0, 0, 0), EFAULT);

	CHECK_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	CHECK_ERR(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);

	CHECK_EQ(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
	CHECK_ERR(prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0), EINVAL);

	CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0), 0);
	CHECK_EQ(value, SIGUSR1);
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0), 0);
	CHECK_ERR(prctl(PR_SET_PDEATHSIG, 65, 0, 0, 0), EINVAL);

	CHECK_EQ(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 12345);

	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_ERR(prctl(9999, 0, 0, 0, 0), EINVAL);
	return tst_done();
}
