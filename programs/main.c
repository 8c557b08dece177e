/* main: vanguard PROGRAM [options] [arguments]. */
#include "config/program.h"

int main(int argc, char **argv)
{
    return program_main(argc, argv, VANGUARD_VERSION);
}
