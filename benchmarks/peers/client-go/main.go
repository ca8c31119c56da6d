// One replica of client-go's leader election, for comparison: a candidate for each lease, all with the timing of OPTIONS.
//
// While it leads it works: it asks whether it leads, notes the start, works for 30 ms, notes the end. Environment: LOG,
// WHO, OPTIONS, KUBECONFIG.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	work          = 30 * time.Millisecond
	pause         = 90 * time.Millisecond
	clockBootTime = 7
)

type options struct {
	Leases        []string `json:"leases"`
	LeaseDuration float64  `json:"lease_duration"`
	RenewDeadline float64  `json:"renew_deadline"`
	RetryPeriod   float64  `json:"retry_period"`
}

type line struct {
	At       float64 `json:"at"`
	Who      string  `json:"who"`
	Pid      int     `json:"pid"`
	Event    string  `json:"event"`
	Identity string  `json:"identity"`
	Lease    string  `json:"lease"`
	Token    int     `json:"token"`
}

var (
	who = os.Getenv("WHO")
	out *os.File
)

func main() {
	if len(os.Args) > 1 {
		steady(os.Args[1])
		return
	}
	signal.Ignore(syscall.SIGUSR1) // asks to step down, which this election cannot
	var given options
	check(json.Unmarshal([]byte(os.Getenv("OPTIONS")), &given))
	var err error
	out, err = os.OpenFile(os.Getenv("LOG"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	check(err)
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{})
	config, err := loading.ClientConfig()
	check(err)
	config.QPS, config.Burst = 200, 400
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json" // the judge reads it
	namespace, _, err := loading.Namespace()
	check(err)
	client, err := kubernetes.NewForConfig(config)
	check(err)
	closing, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var candidates sync.WaitGroup
	for _, lease := range given.Leases {
		candidates.Go(func() { compete(closing, client, namespace, lease, given) })
	}
	candidates.Wait()
}

// compete ends once closing is done: its work first, and then the lease is released, as ReleaseOnCancel wants it.
func compete(closing context.Context, client kubernetes.Interface, namespace, lease string, given options) {
	identity := fmt.Sprintf("%s_%d_%08x", who, os.Getpid(), rand.Uint32())
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.Mutex // work of one term ends before that of the next begins
	go func() {
		<-closing.Done()
		working.Lock()
		cancel()
	}()
	var elector *leaderelection.LeaderElector
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Name: lease, Namespace: namespace},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   seconds(given.LeaseDuration),
		RenewDeadline:   seconds(given.RenewDeadline),
		RetryPeriod:     seconds(given.RetryPeriod),
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				working.Lock()
				defer working.Unlock()
				for closing.Err() == nil && leading.Err() == nil && elector.IsLeader() {
					note("start", identity, lease)
					time.Sleep(work)
					note("end", identity, lease)
					time.Sleep(pause)
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	check(err)
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
}

func note(event, identity, lease string) {
	text, err := json.Marshal(line{bootTime(), who, os.Getpid(), event, identity, lease, 0})
	check(err)
	_, err = out.Write(append(text, '\n'))
	check(err)
}

func bootTime() float64 {
	var now syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBootTime, uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		check(errno)
	}
	return float64(now.Sec) + float64(now.Nsec)/1e9
}

func seconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Second))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
