# Builds Go's programs of this folder and the test binaries of Go's standard library, into the current folder. For each test
# binary a file NAME.run: the pattern of the tests to run, which are all but those in the list beside this script.
set -eu
sources=$1
export CGO_ENABLED=0
newer() { [ ! -e "$2" ] || [ "$1" -nt "$2" ]; }

for program in hello repl goroutines primes; do
	if newer "$sources/$program.go" $program; then go build -o $program "$sources/$program.go"; fi
done

root=$(go env GOROOT)
if newer "$root/VERSION" testprog; then
	(folder=$PWD && cd "$root/src/runtime/testdata/testprog" && go build -o "$folder/testprog" .)
fi

for package in context os/signal runtime sync sync/atomic time; do
	name=$(echo $package | tr / -).test
	if newer "$root/VERSION" $name; then go test -c -tags timetzdata -o $name $package; fi
	./$name -test.list . | awk -v package=$package '
		FNR == NR { if ($1 == package) excluded[$2] = 1; next }
		/^(Test|Example)/ && !excluded[$1] { pattern = pattern (pattern == "" ? "" : "|") $1 }
		END { print "^(" pattern ")$" }' "$sources/excluded" - > $name.run
done
