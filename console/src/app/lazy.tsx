import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Skeleton } from '../components/states.tsx';

/** A page whose code is loaded when it is opened. Its module exports it by default. */
export function lazy<Props extends object>(
  load: () => Promise<{ default: ComponentType<Props> }>,
): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [state, setState] = useState<'loading' | 'ready' | 'failed'>(loaded ? 'ready' : 'loading');
    const start = () => {
      setState('loading');
      load().then(
        (module) => {
          loaded = module.default;
          setState('ready');
        },
        () => setState('failed'),
      );
    };
    useEffect(() => {
      if (!loaded) start();
    }, []);
    if (state === 'failed') return <LoadFailed retry={start} />;
    const Loaded = loaded;
    return Loaded ? <Loaded {...props} /> : <Skeleton lines={10} />;
  };
}

function LoadFailed({ retry }: { retry: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <p class="notice-title">This page could not be loaded</p>
      <p>
        The connection was interrupted, or a new version of the console was installed. Reload the console if trying
        again does not help.
      </p>
      <p class="notice-foot">
        <button type="button" onClick={retry}>
          Try again
        </button>
        <button type="button" onClick={() => window.location.reload()}>
          Reload the console
        </button>
      </p>
    </div>
  );
}
